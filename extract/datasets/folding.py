"""Evaluates a dataset by folds: every sample is scored, by what saw nothing of its group."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from extract.datasets.remaking import Remade, Row, refuse_resting, stored_rows
from warehouse.catalogue import make_folds
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, tells_nothing_seen
from warehouse.variants import making
from warehouse.vocabulary import (
    BY_FOLDS,
    MADE_FROM,
    N_REPETITIONS,
    WHATEVER_SPLIT,
)

FEWEST_FOLDS = 3
"""One that is scored, one to choose on, one to train on."""


@dataclass(frozen=True)
class Folded:
    """A dataset as it is evaluated now; `sizes` are the fewest and the most samples of a fold."""

    dataset_id: str
    n_folds: int
    n_samples: int
    n_groups: int
    sizes: tuple[int, int]


def fold(lake: Lake, name: str, n_folds: int, into: str | None = None) -> Folded:
    """Deals all samples of a dataset to folds, whole groups together and every class evenly.

    Its verdicts rest on all samples from then on. That is refused where probes or baselines rest on
    its split, and where it is not known what a model saw in training; with `into` a dataset of that
    name is evaluated so, and this one stays. Raises UsageError for an impossible number of folds or
    a name that cannot be taken, LayerhouseError where a class is in too few groups, or without
    labels.
    """
    check_folds(n_folds)
    rows = stored_rows(lake, name)
    if not rows["class"]:
        raise LayerhouseError(f"{name} was registered without labels, which folds need")
    if rows["dataset"][0]["n_folds"] == n_folds and into is None:
        return _folded(name, rows["sample"], rows["sample_fold"], n_folds)
    refuse_resting(lake, name, into, set(MADE_FROM) - WHATEVER_SPLIT, "split")
    if into is None:
        _refuse_unknown(lake, name)
    rows["sample"] = [
        {**row, "split": "test", "given_split": row["given_split"] or row["split"]}
        for row in rows["sample"]
    ]
    rows["sample_fold"] = deal(rows["sample"], n_folds)
    rows["dataset"] = [{**rows["dataset"][0], "evaluation": BY_FOLDS, "n_folds": n_folds}]
    changed = {table: rows[table] for table in ("dataset", "sample", "sample_fold")}
    Remade(name, into, rows, changed, f"folds\t{n_folds}").write(lake)
    return _folded(into or name, rows["sample"], rows["sample_fold"], n_folds)


def _refuse_unknown(lake: Lake, name: str) -> None:
    """LayerhouseError where a model was run of which nobody noted what it saw in training.

    Then all of the samples would be scored, those that it was trained on among them.
    """
    silent = [model for model, _ in tells_nothing_seen(lake, name)]
    if silent:
        raise LayerhouseError(
            f"{len(silent)} models were run on {name} by a version that did not note which samples "
            f"they saw in training, first {silent[0]}; run `layerhouse extract "
            f"{making(silent[0], name)}` once more, which notes that and runs nothing again, take "
            f"it out with `layerhouse models remove {quote(silent[0])}`, or make a dataset "
            "beside this one with --into NEW"
        )


def check_folds(n_folds: int) -> None:
    """UsageError for an impossible number of folds."""
    if n_folds < FEWEST_FOLDS:
        raise UsageError(
            f"folds must be at least {FEWEST_FOLDS} (train, choose, score), not {n_folds}"
        )


def deal(samples: list[Row], n_folds: int) -> list[Row]:
    """The rows of `sample_fold` for all samples of a dataset, in every repetition.

    LayerhouseError where a fold would be scored by what was trained without one of its classes.
    """
    name = samples[0]["dataset_id"]
    labels = [row["class_index"] for row in samples]
    groups = [row["group_id"] for row in samples]
    dealt = []
    for repetition in range(N_REPETITIONS):
        fold_of = make_folds(labels, groups, n_folds, name, repetition).tolist()
        _refuse_untrained(name, labels, fold_of, n_folds)
        dealt += [
            {
                "dataset_id": name,
                "sample_id": row["sample_id"],
                "repetition": repetition,
                "fold": own,
            }
            for row, own in zip(samples, fold_of, strict=True)
        ]
    return dealt


def _refuse_untrained(name: str, labels: list[int], fold_of: list[int], n_folds: int) -> None:
    held = set(zip(labels, fold_of, strict=True))
    for label in sorted(set(labels)):
        for own in range(n_folds):
            trained = set(range(n_folds)) - {own, (own + 1) % n_folds}
            if not any((label, other) in held for other in trained):
                raise LayerhouseError(
                    f"class {label} of {name} is in too few groups for {n_folds} folds: fold {own} "
                    "would be scored by what was trained without it; use fewer folds or more groups"
                )


def _folded(name: str, samples: list[Row], folds: list[Row], n_folds: int) -> Folded:
    first = [row["fold"] for row in folds if row["repetition"] == 0]
    sizes = [first.count(own) for own in range(n_folds)]
    n_groups = len({row["group_id"] for row in samples})
    return Folded(name, n_folds, len(samples), n_groups, (min(sizes), max(sizes)))
