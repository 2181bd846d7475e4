"""Folds that keep groups whole, the same for everyone who asks for as many of a dataset."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import LayerhouseError


def make_folds(
    labels: Sequence[int] | NDArray[np.int64],
    groups: Sequence[str],
    n_folds: int,
    dataset_id: str,
    repetition: int = 0,
) -> NDArray[np.int64]:
    """The fold of every sample: whole groups, dealt so that every fold gets its share of a class.

    Groups are taken large ones first, otherwise in the order of a hash, which is another one in
    every repetition, each to the fold that lacks most of its classes. Labels, groups and what is
    returned: [n samples].
    """
    truth = np.asarray(labels)
    names, group_index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < n_folds:
        raise LayerhouseError(
            f"{dataset_id} has {len(names)} groups, too few for {n_folds} folds by group"
        )
    counts = np.zeros((len(names), int(truth.max()) + 1))
    np.add.at(counts, (group_index, truth), 1)
    salt = f"{dataset_id}\0{repetition}" if repetition else dataset_id
    hashes = [blake2b(f"{salt}\0{name}".encode(), digest_size=8).hexdigest() for name in names]
    order = sorted(range(len(names)), key=lambda g: (-counts[g].sum(), hashes[g]))
    share = counts.sum(axis=0) / n_folds
    held = np.zeros((n_folds, counts.shape[1]))
    fold_of_group = np.empty(len(names), dtype=np.int64)
    for group in order:
        lack = ((share - held) / np.maximum(share, 1e-12) * counts[group]).sum(axis=1)
        best = int(np.lexsort((np.arange(n_folds), held.sum(axis=1), -lack.round(9)))[0])
        fold_of_group[group] = best
        held[best] += counts[group]
    return np.asarray(fold_of_group[group_index])


Places = NDArray[np.int64]
"""Of some samples among all."""

Rows = TypeVar("Rows", bound=Places | slice)


class Rotation(NamedTuple, Generic[Rows]):
    """Which samples one fit is trained on, which it chooses on and which it is scored on."""

    train: Rows
    val: Rows
    test: Rows


def rotate(fold: NDArray[np.int64], n_folds: int) -> tuple[Rotation[Places], ...]:
    """One fit per fold: fold f is scored by what chose on fold f + 1 and trained on the others.

    fold: that of every sample, [n samples].
    """
    parts = [np.flatnonzero(fold == own) for own in range(n_folds)]
    chosen = [*parts[1:], parts[0]]
    trained = [
        np.flatnonzero((fold != own) & (fold != (own + 1) % n_folds)) for own in range(n_folds)
    ]
    return tuple(map(Rotation, trained, chosen, parts))
