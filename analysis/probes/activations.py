"""Reads the activations of many cells as one tensor, in the order train, val, test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.queries import read_query
from warehouse.catalogue import (
    DatasetInfo,
    Places,
    Rotation,
    Warehouse,
    dataset,
    labelled,
    left_out_samples,
    package_readouts,
    require_known,
    rotate,
)
from warehouse.errors import LayerhouseError
from warehouse.variants import making
from warehouse.vocabulary import ACCURACY, READOUTS, SPLITS, Cell

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Samples:
    """The samples that the cells of a model hold: train, then val, then test, each by sample_id.

    Under folds all of them are test, and `folds` [n repetitions, n samples] says in which fold.
    `n_registered` are all that there are to hold: what the model saw in training is none of them.
    `score` is the dataset's, which probes are fitted for.
    """

    ids: NDArray[np.object_]
    class_index: NDArray[np.int64]
    split: NDArray[np.object_]
    n_classes: int
    n_registered: int
    folds: NDArray[np.int64] | None = None
    score: str = ACCURACY

    @property
    def n_repetitions(self) -> int:
        """How often samples were dealt to folds; 0 under a split."""
        return 0 if self.folds is None else len(self.folds)

    def rotations(self, seed: int) -> tuple[Rotation[slice] | Rotation[Places], ...]:
        """The fits that score every sample to be scored once: a split's one, or one per fold.

        Under folds a probe of seed s is fitted by repetition s.
        """
        if self.folds is None:
            return (Rotation(*map(self.rows, SPLITS)),)
        return rotate(self.folds[seed], int(self.folds.max()) + 1)

    def sizes(self, seed: int) -> dict[str, int]:
        """How many samples a probe of a seed is trained on, at most, and how many it predicts."""
        n_train = max(len(self.ids[rotation.train]) for rotation in self.rotations(seed))
        predicted = {split: len(self.ids[self.predicted(split)]) for split in ("val", "test")}
        return {"n_train": n_train} | {f"n_{split}": n for split, n in predicted.items()}

    def predicted(self, split: str) -> slice:
        """The samples that predictions called val or test are of: under folds both are of all."""
        return self.rows(split) if self.folds is None else slice(0, len(self.ids))

    def count(self, split: str) -> int:
        return int((self.split == split).sum())

    def rows(self, split: str) -> slice:
        start = sum(self.count(name) for name in SPLITS[: SPLITS.index(split)])
        return slice(start, start + self.count(split))

    @property
    def fingerprint(self) -> str:
        """Changes with the set of samples, their classes and their splits."""
        dealt: Iterable[NDArray[np.int64]] = () if self.folds is None else self.folds
        columns = (self.ids, self.class_index, self.split, *dealt)
        text = "\n".join("\t".join(map(str, row)) for row in zip(*columns, strict=True))
        return blake2b(text.encode(), digest_size=8).hexdigest()


def read_cells(
    wh: Warehouse, model_id: str, dataset_id: str, *, tokens: bool = False
) -> tuple[dict[Cell, int], Samples]:
    """The cells of a model on a dataset in pipeline order, each with the width of its vectors, and
    the samples all of them hold. With `tokens`, those whose image tokens are kept, each with how
    many numbers the tokens of an image are; they hold the samples of all others.

    Raises UsageError for an unknown model or dataset, LayerhouseError where nothing was extracted,
    where cells hold different samples, or where a split is empty.
    """
    info = labelled(dataset(wh, dataset_id), "a probe")
    require_known(wh, "model", model_id)
    names: dict[str, Any] = {"model": model_id, "dataset": dataset_id}
    names["seen"] = left_out_samples(wh, model_id, dataset_id)
    rows = wh.sql(read_query(QUERIES, "cells"), names).fetchall()
    readouts = {facts.name: facts for facts, _ in package_readouts(wh)} | READOUTS
    command = f"`layerhouse extract {making(model_id, dataset_id)}`"
    wanted = wh.sql(read_query(QUERIES, "token_cells"), names).fetchall() if tokens else rows
    if not wanted:
        of = {"model": model_id, "dataset": dataset_id}
        if not rows and wh.sql(read_query(QUERIES, "one_each_fold"), of).fetchall():
            raise LayerhouseError(
                f"{model_id} is one model for each fold of {dataset_id}, whose states no probe can "
                "be fitted on together: its answers alone are kept, and `layerhouse compare` takes "
                "them"
            )
        what, how = ("image tokens", " --readout tokens") if tokens else ("activations", "")
        command = f"{command[:-1]}{how}`"
        raise LayerhouseError(
            f"the lake holds no {what} of {model_id} on {dataset_id}; run {command} first"
        )
    fullest = max((*rows, *wanted), key=lambda row: row[4])
    widths = {}
    for module, layer, readout, width, *held in wanted:
        cell = Cell(module, layer, readout)
        if held != list(fullest[4:]):
            raise LayerhouseError(
                f"{model_id} on {dataset_id}: {cell} holds {held[0]} samples, others hold "
                f"{fullest[4]} different ones; run {command} to complete the extraction"
            )
        slots = readouts[readout].slots if readout in readouts else 1
        widths[cell] = width if tokens else width * slots
    return widths, _samples(wh, names, next(iter(widths)), info)


def _samples(wh: Warehouse, names: dict[str, Any], cell: Cell, info: DatasetInfo) -> Samples:
    asked = {**names, **cell._asdict()}
    query = "held"
    if cell.readout in READOUTS and READOUTS[cell.readout].is_per_token:
        query = "held_tokens"
        del asked["readout"]
    held = wh.sql(read_query(QUERIES, query), asked).pl()
    strange = held.join(info.samples, on="sample_id", how="anti").vstack(
        held.filter(held["sample_id"].is_duplicated())
    )
    if len(strange):
        raise LayerhouseError(
            f"{names['model']} at {cell}: the sample {strange['sample_id'][0]} is stored twice or "
            f"unknown to {names['dataset']}; `layerhouse validate` shows all such rows"
        )
    frame = info.samples.join(held, on="sample_id", how="semi").sort(
        pl.col("split").replace_strict(SPLITS, list(range(len(SPLITS)))), "sample_id"
    )
    samples = Samples(
        ids=frame["sample_id"].to_numpy().astype(object),
        class_index=frame["class_index"].to_numpy().astype(np.int64),
        split=frame["split"].to_numpy().astype(object),
        n_classes=len(info.classes),
        n_registered=len(info.samples) - len(names["seen"]),
        folds=_folds(info, frame["sample_id"]),
        score=info.score,
    )
    if samples.folds is not None:
        _refuse_untrained(names, samples)
        return samples
    for split in SPLITS:
        if not samples.count(split):
            raise LayerhouseError(
                f"{names['model']} on {names['dataset']}: no sample of the split {split} was "
                "extracted; a probe needs train, val and test"
            )
    return samples


def _folds(info: DatasetInfo, held: pl.Series) -> NDArray[np.int64] | None:
    """The folds of the samples that are held, in their order."""
    if info.folds is None:
        return None
    return info.folds[info.samples["sample_id"].search_sorted(held)].T


def _refuse_untrained(names: dict[str, Any], samples: Samples) -> None:
    """LayerhouseError where a few samples of the folds are held, and a class is missing."""
    every, n = set(samples.class_index.tolist()), len(samples.ids)
    for seed in range(samples.n_repetitions):
        for rotation in samples.rotations(seed):
            parts = (rotation.val, rotation.test)
            lacking = every - set(samples.class_index[rotation.train].tolist())
            if lacking or not all(map(len, map(samples.ids.__getitem__, parts))):
                way = f"extract all {samples.n_registered}"
                if n == samples.n_registered:
                    way = "deal it to fewer folds, or run a model that saw less of it in training"
                raise LayerhouseError(
                    f"{names['model']} on {names['dataset']}: the {n} samples that may be scored "
                    "leave one of its folds empty, or without a class to train on; " + way
                )


def read_vectors(
    wh: Warehouse, model_id: str, dataset_id: str, cells: Sequence[Cell], samples: Samples
) -> Tensor:
    """The activations of cells that share one width: float32 [cells, n samples, width].

    Raises LayerhouseError, naming the cell, for vectors of different widths and for NaN or Inf.
    """
    ids = pa.array(samples.ids, pa.string())
    out: Tensor | None = None
    for index, cell in enumerate(cells):
        held, matrix = wh.vectors(model_id, dataset_id, *cell)
        place = pc.index_in(pa.array(held, pa.string()), value_set=ids)
        if place.null_count:  # what the model saw in training is kept, and is none of the samples
            matrix = matrix[place.is_valid().to_numpy(zero_copy_only=False)]
        if out is None:
            out = torch.empty(len(cells), len(samples.ids), matrix.shape[1])
        if matrix.shape[1] != out.shape[2]:
            raise LayerhouseError(
                f"{model_id}: {cells[0]} has vectors of {out.shape[2]} numbers, {cell} of "
                f"{matrix.shape[1]}, though their layers are equally wide"
            )
        out[index].numpy()[place.drop_null().to_numpy()] = matrix
        if not torch.isfinite(out[index].sum()) and not torch.isfinite(out[index]).all():
            raise LayerhouseError(
                f"{model_id} at {cell} holds NaN or Inf; extract it again with a wider --dtype"
            )
    assert out is not None
    return out
