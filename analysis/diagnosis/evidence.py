"""What a diagnosis rests on: who was right about which test sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.bootstrap import fold_widening
from analysis.queries import read_query
from warehouse.catalogue import Catalogue
from warehouse.vocabulary import ACCURACY, ANSWER, BALANCED_ACCURACY

if TYPE_CHECKING:
    import polars as pl

QUERIES = Path(__file__).parent / "queries"

Predictor = tuple[str, int | None, str, str]
"""(module, layer, readout, kind); answers and baselines have no layer."""

BASELINE = "baseline"
"""What stands for a module in a baseline's place."""

FOLDS = "folds"
"""The kind of what stands for a stage where each fold has chosen for itself."""

KEY = ["module", "layer", "readout", "kind"]


@dataclass(frozen=True)
class Curve:
    """The loci whose accuracies make one health score, in pipeline order."""

    module: str
    track: str
    predictors: tuple[Predictor, ...]
    start: int | None
    end: int | None
    """Where the module's first and last locus lie on the curve; None if it was not probed."""


@dataclass(frozen=True)
class Evidence:
    """Correctness of every predictor on every test sample of one model and dataset.

    `correct` is [n predictors, n samples]: the share of seeds that were right, NaN where a sample
    was not tested; under folds (`is_folded`) all are, and a seed is a repetition. `rows` finds a
    predictor's row, `chosen` the predictor that stands for a stage (and for `reference`, where
    there is a baseline). `strata` are the samples' classes [n] where each of them counts alike
    (balanced accuracy), None where every sample does. `is_fitted_otherwise` where probes are fitted
    for another score than that, None where there are no probes.
    """

    groups: NDArray[np.str_]
    correct: NDArray[np.float64]
    rows: dict[Predictor, int]
    chosen: dict[str, Predictor]
    curves: tuple[Curve, ...]
    is_folded: bool = False
    strata: NDArray[np.int64] | None = None
    is_fitted_otherwise: bool | None = None

    @property
    def score(self) -> str:
        """What its means are."""
        return ACCURACY if self.strata is None else BALANCED_ACCURACY

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which samples [n] the model itself was tested on; a baseline may have seen more."""
        own = [row for predictor, row in self.rows.items() if predictor[0] != BASELINE]
        return np.asarray(~np.isnan(self.correct[own]).all(axis=0))

    @property
    def n_groups(self) -> int:
        """How many test groups these samples belong to."""
        return len(np.unique(self.groups[self.tested]))

    @property
    def widening(self) -> float:
        """How much wider than the bootstrap's its intervals are."""
        if not self.is_folded:
            return 1.0
        return fold_widening(self.n_groups, self.score, bool(self.is_fitted_otherwise))


def read_evidence(
    wh: Catalogue, model_id: str, dataset_id: str, *, answered_by: str | None = None
) -> Evidence:
    """Read the predictors of all chosen candidates and all health curves; where the answers are to
    be those by another method than what is diagnosed, and there are such, with these.
    """
    import polars as pl

    names = {"model": model_id, "dataset": dataset_id}
    samples = wh.sql(
        "SELECT sample_id, group_id, class_index, score FROM sample "
        "LEFT JOIN dataset USING (dataset_id) "
        "WHERE dataset_id = $1 AND split = 'test' ORDER BY sample_id",
        [dataset_id],
    ).pl()
    long = wh.sql(read_query(QUERIES, "correctness"), names).pl()
    chosen = {
        stage: (module, layer, readout, kind)
        for stage, module, layer, readout, kind in wh.sql(
            read_query(QUERIES, "chosen"), names
        ).fetchall()
    }
    if answered_by in set(long.filter(pl.col("module") == ANSWER)["readout"]):
        chosen[ANSWER] = (ANSWER, None, str(answered_by), ANSWER)
    curves = _curves(wh.sql(read_query(QUERIES, "curves"), names).pl())
    wanted = set(chosen.values()) | {place for curve in curves for place in curve.predictors}
    rows, correct = _matrix(long, samples["sample_id"], wanted)
    is_folded = any(kind == FOLDS for *_, kind in chosen.values())
    groups = samples["group_id"].to_numpy().astype(str)
    is_balanced = samples["score"].eq(BALANCED_ACCURACY).any()
    strata = samples["class_index"].to_numpy().astype(np.int64) if is_balanced else None
    fitted = wh.sql(
        "SELECT is_fitted_otherwise FROM caveat WHERE model_id = $model AND dataset_id = $dataset",
        names,
    ).fetchall()
    otherwise = fitted[0][0] if fitted else None
    return Evidence(groups, correct, rows, chosen, curves, is_folded, strata, otherwise)


def _matrix(
    long: pl.DataFrame, sample_ids: pl.Series, wanted: set[Predictor]
) -> tuple[dict[Predictor, int], NDArray[np.float64]]:
    """The long form (one row per predictor and sample) as a matrix; NaN where a row is missing."""
    import polars as pl

    order = sorted(wanted, key=lambda place: (place[0], place[1] or 0, place[2:]))
    predictors = pl.DataFrame(
        [(*place, row) for row, place in enumerate(order)],
        schema={**{name: long.schema[name] for name in KEY}, "row": pl.Int64},
        orient="row",
    )
    columns = pl.DataFrame({"sample_id": sample_ids}).with_row_index("column")
    placed = long.join(predictors, on=KEY, nulls_equal=True).join(columns, on="sample_id")
    correct = np.full((len(order), len(sample_ids)), np.nan)
    correct[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed["correct"].to_numpy()
    return {place: row for row, place in enumerate(order)}, correct


def _curves(loci: pl.DataFrame) -> tuple[Curve, ...]:
    curves = []
    for (module, track), part in loci.group_by(["module", "track"], maintain_order=True):
        start, end = _first(part["is_start"]), _first(part["is_end"])
        predictors = tuple(
            (locus_module, layer, str(track), kind)
            for locus_module, layer, kind in part.select(
                "locus_module", "layer", "kind"
            ).iter_rows()
        )
        curves.append(Curve(str(module), str(track), predictors, start, end))
    return tuple(curves)


def _first(flags: pl.Series) -> int | None:
    places = flags.arg_true()
    return int(places[0]) if len(places) else None
