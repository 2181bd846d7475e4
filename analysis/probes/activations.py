"""Reads the activations of many loci as one tensor, in the order train, val, test."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.queries import read_query
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.samples import DatasetInfo, dataset
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.vocabulary import SPLITS

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Locus:
    """One (module, layer, readout) of a model; `width` is that of its layer, not of the readout."""

    module: str
    layer: int
    readout: str
    width: int

    def __str__(self) -> str:
        return f"{self.module} layer {self.layer}, readout {self.readout}"


@dataclass(frozen=True)
class Samples:
    """The samples that the loci of a model hold: train, then val, then test, each by sample_id."""

    ids: NDArray[np.object_]
    class_index: NDArray[np.int64]
    split: NDArray[np.object_]
    n_classes: int
    n_registered: int

    def count(self, split: str) -> int:
        return int((self.split == split).sum())

    def rows(self, split: str) -> slice:
        start = sum(self.count(name) for name in SPLITS[: SPLITS.index(split)])
        return slice(start, start + self.count(split))

    @property
    def fingerprint(self) -> str:
        """Changes with the set of samples, their classes and their splits."""
        text = "\n".join(
            f"{a}\t{b}\t{c}" for a, b, c in zip(self.ids, self.class_index, self.split, strict=True)
        )
        return blake2b(text.encode(), digest_size=8).hexdigest()


def read_loci(wh: Warehouse, model_id: str, dataset_id: str) -> tuple[list[Locus], Samples]:
    """The loci of a model on a dataset in pipeline order, and the samples all of them hold.

    Raises UsageError for an unknown model or dataset, LayerhouseError where nothing was extracted,
    where loci hold different samples, or where a split is empty.
    """
    info = dataset(wh, dataset_id)
    known = [row[0] for row in wh.sql("SELECT model_id FROM model").fetchall()]
    if model_id not in known:
        hint = nearest(model_id, known) or "; `layerhouse extract` adds models"
        raise UsageError(f"the lake holds no model {model_id!r}{hint}")
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "loci"), names).fetchall()
    command = f"`layerhouse extract --model {model_id} --dataset {dataset_id}`"
    if not rows:
        raise LayerhouseError(
            f"the lake holds no activations of {model_id} on {dataset_id}; run {command} first"
        )
    loci = [Locus(*row[:4]) for row in rows]
    fullest = max(rows, key=lambda row: row[4])
    for row, locus in zip(rows, loci, strict=True):
        if row[4:] != fullest[4:]:
            raise LayerhouseError(
                f"{model_id} on {dataset_id}: {locus} holds {row[4]} samples, others hold "
                f"{fullest[4]} different ones; run {command} to complete the extraction"
            )
    return loci, _samples(wh, names, loci[0], info)


def _samples(wh: Warehouse, names: dict[str, str], locus: Locus, info: DatasetInfo) -> Samples:
    where = {**names, "module": locus.module, "layer": locus.layer, "readout": locus.readout}
    held = wh.sql(read_query(QUERIES, "held"), where).pl()
    strange = held.join(info.samples, on="sample_id", how="anti").vstack(
        held.filter(held["sample_id"].is_duplicated())
    )
    if len(strange):
        raise LayerhouseError(
            f"{names['model']} at {locus}: the sample {strange['sample_id'][0]} is stored twice or "
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
        n_registered=len(info.samples),
    )
    for split in SPLITS:
        if not samples.count(split):
            raise LayerhouseError(
                f"{names['model']} on {names['dataset']}: no sample of the split {split} was "
                "extracted; a probe needs train, val and test"
            )
    return samples


def read_vectors(
    wh: Warehouse, model_id: str, dataset_id: str, loci: list[Locus], samples: Samples
) -> Tensor:
    """The activations of loci that share one width: float32 [loci, n samples, width].

    Raises LayerhouseError, naming the locus, for vectors of different widths and for NaN or Inf.
    """
    ids = pa.array(samples.ids, pa.string())
    out: Tensor | None = None
    for index, locus in enumerate(loci):
        held, matrix = wh.vectors(model_id, dataset_id, locus.module, locus.layer, locus.readout)
        place = pc.index_in(pa.array(held, pa.string()), value_set=ids).to_numpy()
        if out is None:
            out = torch.empty(len(loci), len(samples.ids), matrix.shape[1])
        if matrix.shape[1] != out.shape[2]:
            raise LayerhouseError(
                f"{model_id}: {loci[0]} has vectors of {out.shape[2]} numbers, {locus} of "
                f"{matrix.shape[1]}, though their layers are equally wide"
            )
        out[index].numpy()[place] = matrix
        if not torch.isfinite(out[index].sum()) and not torch.isfinite(out[index]).all():
            raise LayerhouseError(
                f"{model_id} at {locus} holds NaN or Inf; extract it again with a wider --dtype"
            )
    assert out is not None
    return out
