"""Fits the targets that cells lack, chunk by chunk, whatever the kind of probe."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.parallel import cores, in_order
from analysis.probes.activations import Samples
from analysis.probes.chunks import Chunk, chunks
from analysis.probes.probe_kind import LabelledVectors, ProbeData, ProbeKind
from analysis.probes.storage import Fit
from analysis.probes.targets import TRUE_LABELS, Target, labels_of
from warehouse.untrusted import memory
from warehouse.vocabulary import Cell

Read = Callable[[Sequence[Cell]], Tensor]
"""The vectors of some cells of one width: float32 [cells, n samples, width]."""


def fit_lacking(
    kind: ProbeKind,
    samples: Samples,
    dataset_id: str,
    lacking: Mapping[Cell, tuple[Target, ...]],
    widths: Mapping[Cell, int],
    read: Read,
) -> Iterator[list[Fit]]:
    """The fits of every cell's lacking targets, chunk by chunk, in the order of the cells.

    `read` is called just before a chunk is fitted, a few chunks ahead at most.
    """
    workers = _workers(kind, len(samples.ids) * max(widths.values()))
    waiting = (
        (chunk, read(chunk.cells)) for chunk in chunks(lacking, widths, samples, kind, workers)
    )
    return in_order(waiting, partial(_fit, kind, samples, dataset_id), workers)


def _workers(kind: ProbeKind, n_values: int) -> int:
    """How many chunks are fitted at once; tokens of a locus, of so many numbers, are a chunk each,
    one more than that is read, and as many as four are to fit into the memory."""
    if kind.device != "cpu":
        return 1
    return max(1, min(cores(), memory() // (16 * n_values))) if kind.reads_tokens else cores()


def fit_vectors(
    kind: ProbeKind,
    samples: Samples,
    dataset_id: str,
    vectors: Mapping[Cell, NDArray[np.float32]],
) -> list[Fit]:
    """Probes of vectors that are in memory, each [n samples, width] in the samples' order.

    The very fits that `probe` would store for the same vectors, without a control.
    """

    def read(cells: Sequence[Cell]) -> Tensor:
        return torch.stack([torch.from_numpy(vectors[cell]) for cell in cells])

    lacking: dict[Cell, tuple[Target, ...]] = dict.fromkeys(vectors, (TRUE_LABELS,))
    widths = {cell: rows.shape[1] for cell, rows in vectors.items()}
    return [
        fit
        for fits in fit_lacking(kind, samples, dataset_id, lacking, widths, read)
        for fit in fits
    ]


def _fit(
    kind: ProbeKind, samples: Samples, dataset_id: str, waiting: tuple[Chunk, Tensor]
) -> list[Fit]:
    started = time.perf_counter()
    chunk, vectors = waiting
    fits = kind.fit(_data(kind, samples, dataset_id, chunk, vectors))
    seconds = (time.perf_counter() - started) / (len(chunk.cells) * len(chunk.targets))
    return [
        Fit(
            cell,
            target,
            fits.val_logits[row, column],
            fits.test_logits[row, column],
            fits.chosen[row][column],
            seconds,
        )
        for row, cell in enumerate(chunk.cells)
        for column, target in enumerate(chunk.targets)
    ]


def _data(
    kind: ProbeKind, samples: Samples, dataset_id: str, chunk: Chunk, vectors: Tensor
) -> ProbeData:
    """Train and val with one row of labels per target; vectors: [cells, n samples, width]."""
    labels = labels_of(samples, dataset_id, chunk.targets)
    features = vectors.to(kind.device)
    train, val = (
        LabelledVectors(
            features[:, samples.rows(split)], torch.from_numpy(labels[split]).to(kind.device)
        )
        for split in ("train", "val")
    )
    return ProbeData(
        train=train,
        val=val,
        test=features[:, samples.rows("test")],
        n_classes=samples.n_classes,
        seeds=tuple(target.seed for target in chunk.targets),
    )
