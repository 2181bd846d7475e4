"""Intervals that respect clusters: a paired bootstrap over groups, vectorised in numpy.

The samples of one group (a patient, a microscope field) are not independent, so groups are
resampled, not samples. All quantities of one call see the same resamples: differences between two
rows are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from warehouse.errors import LayerhouseError

Floats = NDArray[np.float64]


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


@dataclass(frozen=True)
class Intervals:
    """Point estimates and their interval bounds, each [n_quantities]."""

    point: Floats
    lower: Floats
    upper: Floats


def group_bootstrap(
    values: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    n_resamples: int = 2000,
    seed: int = 0,
    *,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
) -> Intervals:
    """Means of `values` [n_quantities, n_samples] with intervals from resampled groups.

    `percentile` takes the quantiles of the resampled means; `bca` also corrects their bias and
    skewness, with a jackknife over groups (Efron 1987, "Better bootstrap confidence intervals").
    """
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    weights, group_index = bootstrap_weights(groups, n_resamples, seed)
    if rows.shape[1] != len(group_index):
        raise LayerhouseError(
            f"{rows.shape[1]} values per row do not fit {len(group_index)} samples with groups"
        )
    means = weighted_means(rows, weights, group_index)
    point = rows.mean(axis=1)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    levels = np.broadcast_to(tails, (len(rows), 2))
    if method == "bca":
        levels = _bca_levels(rows, point, means, group_index, tails)
    bounds = np.stack([np.quantile(means[:, q], levels[q]) for q in range(len(rows))])
    return Intervals(point=point, lower=bounds[:, 0], upper=bounds[:, 1])


def _group_sums(
    values: ArrayLike, group_index: NDArray[np.intp], n_groups: int
) -> tuple[Floats, Floats]:
    """Sums per group [n_quantities, n_groups] and group sizes [n_groups]."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    order = np.argsort(group_index, kind="stable")
    sizes = np.bincount(group_index, minlength=n_groups)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.add.reduceat(rows[:, order], starts, axis=1), sizes.astype(np.float64)


def _bca_levels(
    rows: Floats, point: Floats, means: Floats, group_index: NDArray[np.intp], tails: Floats
) -> Floats:
    """The quantile levels [n_quantities, 2] that BCa reads instead of the plain tails."""
    sums, sizes = _group_sums(rows, group_index, int(group_index.max()) + 1)
    left_out = (sums.sum(1, keepdims=True) - sums) / (sizes.sum() - sizes)
    deviation = left_out.mean(1, keepdims=True) - left_out
    spread = (deviation**2).sum(1) ** 1.5
    skew = (deviation**3).sum(1)
    acceleration = np.divide(skew, 6 * spread, out=np.zeros_like(skew), where=spread > 0)
    # Ties count half: accuracies are discrete and often equal the point estimate exactly.
    below = ((means < point).mean(0) + (means <= point).mean(0)) / 2
    edge = 0.5 / len(means)
    bias = norm.ppf(np.clip(below, edge, 1 - edge))[:, None]
    shifted = bias + norm.ppf(tails)
    return norm.cdf(bias + shifted / (1 - acceleration[:, None] * shifted))
