"""Erasure: what tells classes apart at a site, learned from labelled samples."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from extract.anatomy import Locus
from extract.faults.edit_hooks import capture
from extract.faults.effects import Labelled
from extract.faults.fault import Fault
from extract.models import Session
from warehouse.errors import LayerhouseError

Base = tuple[Tensor, Tensor]
"""Class-independent means (tokens, width), and a basis (tokens, width, classes − 1) of what class
means differ in."""


def learn_differences(
    session: Session, fault: Fault, site: Locus, every: bool, batches: Iterable[Labelled]
) -> list[Base]:
    """The class-mean subspace of every token at a site, of each of its parts.

    `every` takes all rows of a sample, else its image tokens only. Raises LayerhouseError if images
    give different numbers of tokens or only one class was seen.
    """
    sums: dict[tuple[int, int], Tensor] = {}
    counts: dict[int, int] = {}
    for inputs, classes in batches:
        for part, samples in enumerate(capture(session, site, inputs, every)):
            for rows, class_index in zip(samples, classes, strict=True):
                _add(sums, (part, class_index), rows.double().cpu(), fault)
        for class_index in classes:
            counts[class_index] = counts.get(class_index, 0) + 1
    if len(counts) < 2:
        raise LayerhouseError(f"{fault} needs train samples of at least two classes")
    parts = sorted({part for part, _ in sums})
    return [
        class_differences([sums[part, c] / counts[c] for c in sorted(counts)]) for part in parts
    ]


def _add(sums: dict[Any, Tensor], key: Any, rows: Tensor, fault: Fault) -> None:
    known = sums.get(key)
    if known is not None and known.shape != rows.shape:
        raise LayerhouseError(
            f"{fault} needs images that all give equally many tokens: {tuple(known.shape)} and "
            f"{tuple(rows.shape)} were seen"
        )
    sums[key] = rows if known is None else known + rows


def class_differences(means: Sequence[Tensor]) -> Base:
    """Centre (tokens, width) and basis (tokens, width, classes − 1) of class means."""
    stacked = torch.stack(list(means), dim=-1)
    centre = stacked.mean(dim=-1)
    differences = stacked - centre[..., None]
    left, values, _ = torch.linalg.svd(differences, full_matrices=False)
    kept = values > 1e-9 * values.amax(dim=-1, keepdim=True).clamp(min=1e-300)
    basis = (left * kept[..., None, :])[..., : len(means) - 1]
    return centre.float(), basis.float()
