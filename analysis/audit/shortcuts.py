"""Shortcuts: how well one fact alone reads the class, such as an image's size or its hospital.

A fact's values (of numbers, ten equal parts) are counted per class in the other folds, and each
sample is given the class in which its value is most frequent. Folds keep groups whole. The score is
the balanced accuracy, whose chance is 1 / classes however unequal their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.catalogue import make_folds

N_FOLDS = 5
PARTS = 10
Z = 1.959964
"""Of a 95% interval."""

Values = Sequence[str | float | None]


@dataclass(frozen=True)
class Shortcut:
    """How well `fact` alone reads the class, out of fold, with a 95% interval over groups."""

    fact: str
    n_values: int
    balanced_accuracy: float
    chance: float
    lower: float
    upper: float
    n_groups: int


def find_shortcuts(
    facts: dict[str, Values], labels: NDArray[np.int64], groups: Sequence[str], dataset_id: str
) -> list[Shortcut]:
    """One per fact that has at least two values: facts [n] each, labels [n], every one a class.

    Nothing is said of fewer than `N_FOLDS` groups or of one class.
    """
    names = np.unique(np.asarray(groups, dtype=str))
    if len(names) < N_FOLDS or len(np.unique(labels)) < 2:
        return []
    fold_of = make_folds(labels, groups, N_FOLDS, dataset_id)
    found = []
    for fact, values in facts.items():
        codes = categories(values)
        n_values = int(codes.max()) + 1
        if n_values < 2:
            continue
        right = predict(codes, labels, fold_of) == labels
        score, margin = balanced_accuracy(right, labels, groups)
        chance = 1 / len(np.unique(labels))
        bounds = max(score - margin, 0.0), min(score + margin, 1.0)
        found.append(Shortcut(fact, n_values, score, chance, *bounds, len(names)))
    return found


def categories(values: Values) -> NDArray[np.int64]:
    """Values as numbers from 0 [n]: those that are numbers in ten equal parts, others each its own.

    A missing value is a value too: that something was not recorded can tell the class.
    """
    known = [value for value in values if value is not None]
    numbers = _as_numbers(known)
    if numbers is None or len(np.unique(numbers)) <= PARTS:
        texts = np.array(["" if value is None else f"={value}" for value in values])
        return np.asarray(np.unique(texts, return_inverse=True)[1], dtype=np.int64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, PARTS + 1)[1:-1]))
    codes = np.zeros(len(values), dtype=np.int64)
    given = np.array([value is not None for value in values])
    codes[given] = np.searchsorted(edges, numbers, side="right") + 1
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64)


def names_samples(values: Values) -> bool:
    """Whether most values occur once: words that name single samples say nothing of others."""
    return (
        _as_numbers([v for v in values if v is not None]) is None
        and len(set(values)) > len(values) / 2
    )


def _as_numbers(values: Sequence[str | float]) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def predict(
    codes: NDArray[np.int64], labels: NDArray[np.int64], fold_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The class [n] in which each sample's value is most frequent in the other folds."""
    shape = int(codes.max()) + 1, int(labels.max()) + 1
    named = np.empty(len(labels), dtype=np.int64)
    for fold in np.unique(fold_of):
        scored = fold_of == fold
        counts = np.zeros(shape)
        np.add.at(counts, (codes[~scored], labels[~scored]), 1)
        # one more of each value, so that what was seen once is not taken for certain
        share = (counts + 1) / (counts.sum(axis=0) + shape[0])
        share[:, counts.sum(axis=0) == 0] = 0
        named[scored] = share.argmax(axis=1)[codes[scored]]
    return named


def balanced_accuracy(
    right: NDArray[np.bool_], labels: NDArray[np.int64], groups: Sequence[str]
) -> tuple[float, float]:
    """Mean recall over the classes, and half its 95% interval over groups (linearised)."""
    group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    n_groups, classes = int(group_of.max()) + 1, np.unique(labels)
    recalls = np.array([right[labels == label].mean() for label in classes])
    place = np.searchsorted(classes, labels)
    size = np.bincount(place)
    pull = (right - recalls[place]) / size[place] / len(classes)
    of_group = np.bincount(group_of, weights=pull, minlength=n_groups)
    variance = (of_group**2).sum() * n_groups / max(n_groups - 1, 1)
    return float(recalls.mean()), float(Z * np.sqrt(variance))
