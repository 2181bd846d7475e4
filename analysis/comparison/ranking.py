"""How well likelihoods rank samples, resampled: the AUROC of the view `answer_auroc`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]

AT_ONCE = 4_000_000
"""Weights of samples that are in memory at once, of as many resamples as that allows."""


def auroc_gain(
    rows: pl.DataFrame, weights: Floats, group_index: NDArray[np.intp]
) -> tuple[Floats, Floats] | None:
    """By how much the model ranks better than the base: as the samples are [1], and in every
    resample [n resamples].

    rows: `queries/likelihoods.sql`, in the order of `group_index`; weights and group_index as
    `bootstrap_weights` gives them. None where the two did not answer the same samples by
    likelihood, or none can be ranked.
    """
    sides = ("probabilities", "base_probabilities")
    answered, of_base = (rows[side].is_not_null().to_numpy() for side in sides)
    if not np.array_equal(answered, of_base) or not answered.any():
        return None
    seen = rows.filter(answered)
    labels = seen["class_index"].to_numpy()
    groups = group_index[answered]
    once = np.ones_like(weights[:1])
    point, drawn = (
        np.subtract(*(auroc(np.stack(seen[side].to_list()), labels, by, groups) for side in sides))
        for by in (once, weights)
    )
    return None if np.isnan(point).any() else (point, drawn)


def auroc(
    probabilities: Floats, labels: NDArray[np.int64], weights: Floats, groups: NDArray[np.intp]
) -> Floats:
    """The area under the one-vs-rest ROC curve, a mean over the classes that occur: [n resamples].

    probabilities [n, classes], labels [n], weights [n resamples, n groups], groups [n]. Ties count
    half (Mann-Whitney); NaN where a resample has samples of one class alone.
    """
    step = max(1, AT_ONCE // len(labels))
    parts = [
        _auroc(probabilities, labels, weights[first : first + step][:, groups])
        for first in range(0, len(weights), step)
    ]
    return np.concatenate(parts)


def _auroc(probabilities: Floats, labels: NDArray[np.int64], weights: Floats) -> Floats:
    total, n_classes = np.zeros(len(weights)), np.zeros(len(weights))
    for index, column in enumerate(probabilities.T):
        order = np.argsort(column, kind="stable")
        starts = np.flatnonzero(np.diff(column[order], prepend=-np.inf))
        of_class = labels[order] == index
        drawn = weights[:, order]
        positive = np.add.reduceat(drawn * of_class, starts, axis=1)
        negative = np.add.reduceat(drawn * ~of_class, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        total += np.divide((positive * below).sum(axis=1), pairs, where=pairs > 0, out=0 * pairs)
        n_classes += pairs > 0
    with np.errstate(invalid="ignore"):
        return np.asarray(total / n_classes)
