"""`layerhouse compare`: paired intervals of the difference between two models.

Both models were tried on the same test samples, so each resample of whole test groups gives both a
number, and the interval is that of their difference: what is hard for both cancels out. Accuracies,
losses and health scores are computed anew in each resample, as `layerhouse diagnose` does; so is
how well likelihoods rank, and of a repair what share of its base's losses it brings back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.bootstrap import bootstrap_weights, refuse_few
from analysis.comparison.ranking import auroc_gain
from analysis.comparison.recovery import recovered
from analysis.comparison.sameness import (
    NotComparableError,
    Pair,
    require_same_fits,
    require_same_samples,
    stages_apart,
    stages_of,
)
from analysis.diagnosis import (
    DiagnosedAnswer,
    Evidence,
    bounds,
    inputs_fingerprint,
    read_answer,
    read_evidence,
    renewed,
    resampled,
    store_intervals,
)
from analysis.queries import read_query
from warehouse.catalogue import Warehouse, connect, dataset, labelled, require_known
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, exclusive
from warehouse.vocabulary import ANSWER, N_RESAMPLES

COMMAND = "compare"
ANSWERED = (ANSWER, "accuracy")
QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Difference:
    """One number of both models; `difference` is the model's minus the base's.

    Accuracies and losses are shares of the test samples; bounds are None without an interval.
    """

    stage: str
    quantity: str
    value: float
    base_value: float
    difference: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Comparison:
    """A stored comparison; `added` is False if the lake held it already.

    `answers` are the model's and the base's that are compared, None where a model gave none.
    """

    pair: Pair
    run_id: str
    added: bool
    rows: tuple[Difference, ...]
    answers: tuple[DiagnosedAnswer | None, DiagnosedAnswer | None]

    @property
    def note(self) -> str | None:
        """One sentence where the two were not asked in the same way."""
        asked = [answer and (answer.method, answer.prompt_id) for answer in self.answers]
        if None in asked or asked[0] == asked[1]:
            return None
        return (
            f"The answers compared are not of one kind: {self.pair.model_id} by {self.answers[0]}, "
            f"{self.pair.base_model_id} by {self.answers[1]}; `layerhouse diagnose --method` and "
            "`--prompt` choose"
        )

    @property
    def answer(self) -> Difference | None:
        """The difference of the answers' accuracies, if both models answered."""
        return next((row for row in self.rows if (row.stage, row.quantity) == ANSWERED), None)


@dataclass(frozen=True)
class LeftOut:
    """A pair that belongs together and could not be compared, and why: one sentence."""

    pair: Pair
    reason: str


def compare_all(
    lake: Lake,
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[list[Comparison], list[LeftOut]]:
    """Compare every pair that the view `model_pair` knows, of these models and datasets.

    A pair that cannot be compared does not keep the others from it. Raises UsageError for an
    unknown model or dataset, LayerhouseError if there is no pair or none can be compared.
    """
    with connect(lake) as wh:
        for table, names in (("model", models), ("dataset", datasets)):
            for name in names:
                require_known(wh, table, name)
        stored = [Pair(*row) for row in wh.sql(read_query(QUERIES, "pairs")).fetchall()]
    wanted = [
        pair
        for pair in stored
        if pair.model_id in (models or [pair.model_id])
        and pair.dataset_id in (datasets or [pair.dataset_id])
    ]
    if not wanted:
        raise LayerhouseError(
            "no two models of the lake belong together (with and without an adapter or a fault, or "
            "a medical model and its general base): name two with --model and --base"
        )
    left_out: list[LeftOut] = []
    done = _compare(lake, wanted, n_resamples, seed, left_out)
    if not done:
        raise NotComparableError(left_out[0].reason)
    return done, left_out


def compare(
    lake: Lake,
    model_id: str,
    base_model_id: str,
    dataset_id: str,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Store the paired 95% intervals of all differences between two models on a dataset.

    Raises UsageError for unknown names, a model compared with itself and impossible options,
    LayerhouseError when a model has neither probes nor answers on the dataset, when the two were
    not tested on the same samples, when these form a single group, and when the two are read by
    probes for different scores.
    """
    pair = Pair(model_id, base_model_id, dataset_id)
    _check(lake, pair)
    return _compare(lake, [pair], n_resamples, seed)[0]


def _compare(
    lake: Lake,
    pairs: Sequence[Pair],
    n_resamples: int,
    seed: int,
    left_out: list[LeftOut] | None = None,
) -> list[Comparison]:
    """Write what is missing, then read all of it: the catalogue is refreshed once, not per pair.

    Pairs that cannot be compared go to `left_out`, or end it all where there is no such list.
    """
    refuse_few(n_resamples)
    with exclusive(lake, COMMAND) as looked, connect(lake) as wh:
        stored = {}
        for pair in pairs:
            try:
                stored[pair] = _add_intervals(lake, wh, pair, n_resamples, seed, looked)
            except NotComparableError as error:
                if left_out is None:
                    raise
                left_out.append(LeftOut(pair, str(error)))
    query = read_query(QUERIES, "differences")
    with connect(lake) as wh:
        return [
            Comparison(
                pair,
                run_id,
                added,
                tuple(Difference(**row) for row in wh.sql(query, pair.names).pl().to_dicts()),
                (
                    read_answer(wh, pair.model_id, pair.dataset_id),
                    read_answer(wh, pair.base_model_id, pair.dataset_id),
                ),
            )
            for pair, (run_id, added) in stored.items()
        ]


def _check(lake: Lake, pair: Pair) -> None:
    if pair.model_id == pair.base_model_id:
        raise UsageError(f"{pair.model_id} cannot be compared with itself: name another --base")
    with connect(lake) as wh:
        require_known(wh, "model", pair.model_id)
        require_known(wh, "model", pair.base_model_id)
        require_known(wh, "dataset", pair.dataset_id)
        labelled(dataset(wh, pair.dataset_id), "a comparison")


def _add_intervals(
    lake: Lake, wh: Warehouse, pair: Pair, n_resamples: int, seed: int, looked: frozenset[str]
) -> tuple[str, bool]:
    spec = RunSpec(
        COMMAND, pair.model_id, pair.dataset_id, _comparison_config(wh, pair, n_resamples, seed)
    )

    def compute() -> dict[str, list[dict[str, Any]]]:
        return {"pair_interval": _interval_rows(wh, pair, n_resamples, seed)}

    _, added = store_intervals(lake, spec, looked, compute)
    return spec.run_id, added


def _comparison_config(wh: Warehouse, pair: Pair, n_resamples: int, seed: int) -> dict[str, Any]:
    wanted = {
        "base": pair.base_model_id,
        "n_resamples": n_resamples,
        "seed": seed,
        "inputs": inputs_fingerprint(wh, pair.model_id, pair.dataset_id),
        "base_inputs": inputs_fingerprint(wh, pair.base_model_id, pair.dataset_id),
    }
    # Only where it holds, so that what older versions found of other pairs stays theirs.
    wanted |= {name: True for name in ("is_ranked", "is_repair") if _holds(wh, pair, name)}
    ((n_outdated,),) = wh.sql(read_query(QUERIES, "outdated"), pair.names).fetchall()
    latest = wh.sql(read_query(QUERIES, "latest_run"), pair.names).fetchall()
    return renewed(wanted, latest, is_outdated=n_outdated > 0)


def _holds(wh: Warehouse, pair: Pair, query: str) -> bool:
    return bool(wh.sql(read_query(QUERIES, query), pair.names).fetchall())


def _interval_rows(wh: Warehouse, pair: Pair, n_resamples: int, seed: int) -> list[dict[str, Any]]:
    """Rows of `pair_interval`: everything that both models have a number for."""
    model = read_evidence(wh, pair.model_id, pair.dataset_id)
    base = read_evidence(wh, pair.base_model_id, pair.dataset_id)
    require_same_samples(pair, model, base)
    require_same_fits(pair, model, base)
    weights, group_index = bootstrap_weights(model.groups, n_resamples, seed)
    once = np.ones_like(weights[:1])
    points = [resampled(side, once, group_index) for side in (model, base)]
    drawn = [resampled(side, weights, group_index) for side in (model, base)]
    found = {
        key: (points[0][key] - points[1][key], drawn[0][key] - drawn[1][key])
        for key in points[0]
        if key in points[1]
    }
    if _holds(wh, pair, "is_ranked"):
        said = wh.sql(read_query(QUERIES, "likelihoods"), pair.names).pl()
        ranked = auroc_gain(said, weights, group_index)
        found |= {(ANSWER, "auroc"): ranked} if ranked is not None else {}
    if _holds(wh, pair, "is_repair"):
        if (alike := _answered_alike(wh, pair, model)) is not None:
            by = [resampled(alike, each, group_index)[ANSWERED] for each in (once, weights)]
            found[ANSWER, "gain"] = points[0][ANSWERED] - by[0], drawn[0][ANSWERED] - by[1]
            points[1], drawn[1] = points[1] | {ANSWERED: by[0]}, drawn[1] | {ANSWERED: by[1]}
        found |= recovered(points, drawn)
    apart = stages_apart(model, base)
    intervals = {
        key: bounds(*values, model.widening)
        for key, values in found.items()
        if apart.isdisjoint(stages_of(*key))
    }
    common = {**pair.keys, "n_resamples": n_resamples, "n_groups": model.n_groups}
    return [
        {**common, "stage": stage, "quantity": quantity, "score": model.score, **interval}
        for (stage, quantity), interval in intervals.items()
        if None not in interval.values()
    ]


def _answered_alike(wh: Warehouse, pair: Pair, model: Evidence) -> Evidence | None:
    """The base by answers of the method that the model answers by, as `recovered_share` has it;
    None where it is diagnosed by these, or has none to the same samples.
    """
    methods = dict(wh.sql(read_query(QUERIES, "methods"), pair.names).fetchall())
    own, other = (methods.get(name) for name in (pair.model_id, pair.base_model_id))
    if own is None or other is None or own == other:
        return None
    found = read_evidence(wh, pair.base_model_id, pair.dataset_id, answered_by=own)
    if found.chosen[ANSWER] != (ANSWER, None, own, ANSWER) or not np.array_equal(
        *(np.isnan(side.correct[side.rows[side.chosen[ANSWER]]]) for side in (found, model))
    ):
        return None
    return found
