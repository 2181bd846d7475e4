"""Fits the targets that cells lack, chunk by chunk, whatever the kind of probe."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.parallel import cores, in_order
from analysis.probes.activations import Samples
from analysis.probes.chunks import Chunk, chunks
from analysis.probes.probe_kind import Fits, FoldFit, ProbeKind
from analysis.probes.storage import Fit
from analysis.probes.targets import TRUE_LABELS, Target, labels_of
from warehouse.errors import LayerhouseError
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
    workers = _workers(kind, len(samples.ids) * max(widths.values(), default=0))
    waiting = (
        (chunk, read(chunk.cells)) for chunk in chunks(lacking, widths, samples, kind, workers)
    )
    return in_order(waiting, partial(_fit, kind, samples, dataset_id), workers)


def _workers(kind: ProbeKind, n_values: int) -> int:
    """How many chunks are fitted at once; tokens of a locus, of so many numbers, are a chunk each,
    one more than that is read, and as many as four are to fit into the memory."""
    if kind.device != "cpu":
        return 1
    return max(1, min(cores(), memory() // max(1, 16 * n_values))) if kind.reads_tokens else cores()


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
    features = vectors.to(kind.device)
    together = _together(samples, chunk.targets)
    folds = [
        FoldFit(rotation, labels, tuple(target.seed for target in targets), samples.score)
        for targets in together
        for labels in [torch.from_numpy(labels_of(samples, dataset_id, targets)).to(kind.device)]
        for rotation in samples.rotations(targets[0].seed)
    ]
    parts = kind.fit_folds(features, folds, samples.n_classes)
    for fold, part in zip(folds, parts, strict=True):
        _refuse_misshapen(kind, fold, part, (len(features), samples.n_classes))
    n_rotations = len(folds) // len(together)
    found = [
        (cell, target, fits, row, column)
        for number, targets in enumerate(together)
        for here in [slice(number * n_rotations, (number + 1) * n_rotations)]
        for fits in [_joined(folds[here], parts[here], samples)]
        for row, cell in enumerate(chunk.cells)
        for column, target in enumerate(targets)
    ]
    seconds = (time.perf_counter() - started) / len(found)
    return [
        Fit(
            cell,
            target,
            fits.val_logits[row, column],
            fits.test_logits[row, column],
            fits.chosen[row][column],
            seconds,
        )
        for cell, target, fits, row, column in found
    ]


def _refuse_misshapen(kind: ProbeKind, fold: FoldFit, fits: Any, sizes: tuple[int, int]) -> None:
    """LayerhouseError naming a kind, which may be a package's, that gives something else than Fits
    of the data that it got; `sizes` are the cells and the classes of these."""
    said, (cells, classes) = f"the kind of probe {kind.name} gives ", sizes
    if not isinstance(fits, Fits):
        raise LayerhouseError(f"{said}a {type(fits).__name__} in the place of Fits")
    sets = len(fold.labels)
    for split in ("val", "test"):
        n = fold.labels[:, getattr(fold.rotation, split)].shape[1]
        found, wanted = np.shape(getattr(fits, f"{split}_logits")), (cells, sets, n, classes)
        if found != wanted:
            raise LayerhouseError(
                f"{said}logits {list(found)} on {split}, where [cells, sets, n, classes] are "
                f"{list(wanted)}"
            )
    if [len(row) for row in fits.chosen] != [sets] * cells:
        raise LayerhouseError(f"{said}no chosen[cell][set] for {cells} cells and {sets} label sets")


def _together(samples: Samples, targets: Sequence[Target]) -> list[list[Target]]:
    """The targets that are fitted on the same samples: all, or those of one repetition of folds."""
    if samples.folds is None:
        return [list(targets)]
    by_seed: dict[int, list[Target]] = {}
    for target in targets:
        by_seed.setdefault(target.seed, []).append(target)
    return list(by_seed.values())


def _joined(folds: Sequence[FoldFit], parts: Sequence[Fits], samples: Samples) -> Fits:
    """The fits of every rotation as one, which predicts all samples."""
    if len(parts) == 1:
        return parts[0]
    cells, sets = parts[0].test_logits.shape[:2]
    shape = (cells, sets, len(samples.ids), samples.n_classes)
    val_logits, test_logits = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for (rotation, *_), part in zip(folds, parts, strict=True):
        val_logits[:, :, rotation.val] = part.val_logits
        test_logits[:, :, rotation.test] = part.test_logits
    chosen = [
        [_by_fold([part.chosen[row][column] for part in parts]) for column in range(sets)]
        for row in range(cells)
    ]
    return Fits(val_logits, test_logits, chosen)


def _by_fold(chosen: list[dict[str, Any]]) -> dict[str, Any]:
    return {"folds": chosen, "converged": all(one.get("converged", True) for one in chosen)}
