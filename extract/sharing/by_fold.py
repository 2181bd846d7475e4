"""Repairs by folds are for the folds that they were trained under: none answers what it saw."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from extract.faults import Fault, strikes_weights
from extract.models import MEND_RECORD, TRAINING_RECORD, GivenModel, ModelSource
from warehouse.catalogue import DatasetInfo
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object


def refuse_other_folds(
    source: ModelSource | GivenModel, info: DatasetInfo, faults: Sequence[Fault]
) -> None:
    """LayerhouseError where a model by folds is put on another dataset or other folds, UsageError
    under faults of activations, which learn and draw among samples of all folds."""
    if isinstance(source, GivenModel) or not source.fold_repairs:
        return
    if not all(strikes_weights([fault]) for fault in faults):
        raise UsageError(
            f"{source.variant} is one model for each fold, and a fault of activations strikes one "
            "model; leave it out"
        )
    if len(source.fold_repairs) != info.n_folds:
        raise LayerhouseError(
            f"{source.variant} is one model for each of {len(source.fold_repairs)} folds, and "
            f"{info.dataset_id} has {info.n_folds or 'none'}; mend the model on it as it is now"
        )
    for fold, folder in enumerate(source.fold_repairs):
        if folder is not None:
            refuse_seen_fold(folder, fold, info)


def refuse_seen_fold(folder: Path, fold: int, info: DatasetInfo) -> None:
    """LayerhouseError unless a repair was trained on this dataset and without any group of a fold.

    By the samples that it saw and not by how folds were dealt: it stays right where samples are
    taken out of the dataset. The same files under other names count too, but for copies within the
    dataset that lie in several groups, which are its own affair.
    """
    record, images = read_object(folder / MEND_RECORD), read_object(folder / TRAINING_RECORD)
    names = record.get("samples")
    if record.get("dataset") != info.dataset_id or not isinstance(names, list):
        raise LayerhouseError(
            f"{folder} was trained on the folds of {record.get('dataset')}, not of "
            f"{info.dataset_id}; mend the model on this dataset"
        )
    assert info.folds is not None
    rows = info.samples.select(
        pl.coalesce("group_id", "sample_id").alias("group"),
        pl.col("sha256").str.slice(0, 16).alias("file"),
        pl.col("sample_id").is_in(names).alias("is_seen"),
        pl.Series("is_scored", info.folds[:, 0] == fold),
    )
    scored, seen = rows.filter(pl.col("is_scored")), rows.filter(pl.col("is_seen"))
    files = set(images.get("images", [])) - set(seen["file"])
    if set(scored["group"]) & set(seen["group"]) or set(scored["file"]) & files:
        raise LayerhouseError(
            f"{folder} was trained on samples that are in fold {fold} of {info.dataset_id} now: "
            "folds or groups were made anew since; mend the model in another folder (--out)"
        )
