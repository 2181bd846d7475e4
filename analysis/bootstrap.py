"""Intervals that respect clusters: a paired bootstrap over groups, vectorised in numpy.

The samples of one group (a patient, a microscope field) are not independent, so groups are
resampled, not samples. All quantities of one call see the same resamples: differences between two
rows are paired.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.errors import LayerhouseError, UsageError
from warehouse.vocabulary import ACCURACY

Floats = NDArray[np.float64]


def refuse_few(n_resamples: int) -> None:
    """UsageError for fewer resamples than a 95% interval can be read from."""
    if n_resamples < 100:
        raise UsageError(f"an interval needs at least 100 resamples, not {n_resamples}")


def bootstrap_weights(
    groups: Sequence[Any] | NDArray[Any], n_resamples: int, seed: int
) -> tuple[Floats, NDArray[np.intp]]:
    """How often each group was drawn in each resample of whole groups with replacement.

    groups: [n_samples] group names; a missing one is an error. Returns
    (weights [n_resamples, n_groups], group_index [n_samples]); each row of weights sums to
    n_groups, the columns follow the sorted group names, so the order of the samples does not
    matter.
    """
    names = np.asarray(groups).astype(object)
    missing = [row for row, name in enumerate(names) if name is None or name != name]
    if missing:
        raise LayerhouseError(
            f"sample {missing[0]} of {len(names)} has no group; every sample needs a group_id, "
            "at least one of its own"
        )
    unique, group_index = np.unique(names.astype(str), return_inverse=True)
    n_groups = len(unique)
    if n_groups < 2:
        raise LayerhouseError(f"a bootstrap over groups needs at least 2 groups, found {n_groups}")
    if n_resamples < 1:
        raise LayerhouseError(f"a bootstrap needs at least 1 resample, not {n_resamples}")
    draws = np.random.default_rng(seed).integers(n_groups, size=(n_resamples, n_groups))
    draws += n_groups * np.arange(n_resamples)[:, None]
    counts = np.bincount(draws.ravel(), minlength=n_resamples * n_groups)
    return counts.reshape(n_resamples, n_groups).astype(np.float64), group_index


def weighted_means(values: ArrayLike, weights: Floats, group_index: NDArray[np.intp]) -> Floats:
    """Mean of every quantity over the samples of every resample: [n_resamples, n_quantities].

    values: [n_quantities, n_samples] numbers or booleans; weights and group_index as
    `bootstrap_weights` gives them. A group drawn twice counts all its samples twice, so the mean
    is a ratio of two group sums (large groups weigh more, as they do in the score itself).
    """
    sums, sizes = _group_sums(values, group_index, weights.shape[1])
    return (weights @ sums.T) / (weights @ sizes)[:, None]


def stratified_means(
    values: ArrayLike,
    strata: NDArray[np.int64] | None,
    weights: Floats,
    group_index: NDArray[np.intp],
) -> Floats:
    """Mean over strata of every quantity's mean in each: [n_resamples, n_quantities].

    values: [n_quantities, n_samples], NaN where a sample has none; strata: [n_samples], of which
    each counts alike, or None for a plain mean. With classes as strata a mean of hits is a balanced
    accuracy: that of samples weighing 1 / (classes x samples of their class), both as they are in
    the resample. Weights of the whole set would not do: how many samples of a class a resample has
    is chance, and would move the score without any recall moving. A stratum that a resample lacks
    says nothing there.
    """
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    has_one = ~np.isnan(rows)
    filled = np.where(has_one, rows, 0.0)
    members = strata if strata is not None else np.zeros(rows.shape[1], dtype=np.int64)
    total = np.zeros((len(weights), len(rows)))
    n_strata = np.zeros_like(total)
    for stratum in np.unique(members):
        own = members == stratum
        sums, _ = _group_sums(filled * own, group_index, weights.shape[1])
        counts, _ = _group_sums(has_one & own, group_index, weights.shape[1])
        drawn = weights @ counts.T
        total += (weights @ sums.T) / np.where(drawn > 0, drawn, 1.0)
        n_strata += drawn > 0
    with np.errstate(invalid="ignore"):
        return np.asarray(total / n_strata)


def _group_sums(
    values: ArrayLike, group_index: NDArray[np.intp], n_groups: int
) -> tuple[Floats, Floats]:
    """Sums per group [n_quantities, n_groups] and group sizes [n_groups]."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    order = np.argsort(group_index, kind="stable")
    sizes = np.bincount(group_index, minlength=n_groups)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.add.reduceat(rows[:, order], starts, axis=1), sizes.astype(np.float64)


def fold_widening(n_groups: int, score: str = ACCURACY, is_fitted_otherwise: bool = False) -> float:
    """How much wider than the bootstrap's an interval of out-of-fold predictions has to be.

    The bootstrap takes predictions as they are, but those of two folds come from models that share
    most of their training samples, and err together; the less the more samples there are. Found by
    simulation (`python -m bench.bench_folds`, docs/method.md).

    Recalls, and so balanced accuracy, rest on fewer samples of a small class than n_groups says.
    Where probes are fitted for accuracy, how they share a mistake between a large and a small class
    costs that little and changes with every training set, however many samples there are.
    """
    of_recalls = 1.0 if score == ACCURACY else 1.7 if is_fitted_otherwise else 1.1
    return of_recalls * (1 + 3.5 / sqrt(n_groups))
