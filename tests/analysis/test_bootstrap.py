"""The bootstrap over groups: exact weights, paired resamples, honest coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from analysis.bootstrap import bootstrap_weights, weighted_means
from warehouse.errors import LayerhouseError


@dataclass(frozen=True)
class Interval:
    """Bounds of 95% intervals, each [quantities]."""

    lower: np.ndarray
    upper: np.ndarray


def interval_of(values: np.ndarray, groups: np.ndarray, n: int, seed: int = 0) -> Interval:
    """Percentile intervals of the means of values [quantities, samples], as the diagnosis takes."""
    means = weighted_means(values, *bootstrap_weights(groups, n, seed))
    return Interval(*np.quantile(means, (0.025, 0.975), axis=0))


def test_every_resample_draws_as_many_groups_as_there_are() -> None:
    weights, index = bootstrap_weights(["b", "a", "b", "c"], 50, seed=1)
    assert weights.shape == (50, 3)
    np.testing.assert_array_equal(weights.sum(1), 3)
    np.testing.assert_array_equal(index, [1, 0, 1, 2])


def test_the_order_of_samples_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(20, size=100).astype(str)
    values = rng.random((3, 100))
    order = rng.permutation(100)
    a = interval_of(values, groups, 200, seed=3)
    b = interval_of(values[:, order], groups[order], 200, seed=3)
    np.testing.assert_allclose(a.lower, b.lower)
    np.testing.assert_allclose(a.upper, b.upper)


def test_weighted_means_equal_a_loop_that_repeats_samples() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(6, size=30)
    values = rng.random((4, 30))
    weights, index = bootstrap_weights(groups, 20, seed=0)
    means = weighted_means(values, weights, index)
    for resample in range(20):
        repeated = np.repeat(values, weights[resample][index].astype(int), axis=1)
        np.testing.assert_allclose(means[resample], repeated.mean(1))


def test_the_same_seed_gives_the_same_interval_and_pairs_all_quantities() -> None:
    values = np.random.default_rng(0).random((1, 60))
    both = interval_of(np.concatenate([values, values - 0.1]), np.arange(60), 100, seed=5)
    assert both.lower[0] - both.lower[1] == pytest.approx(0.1)
    alone = interval_of(values, np.arange(60), 100, seed=5)
    again = interval_of(values, np.arange(60), 100, seed=5)
    assert again.lower[0] == alone.lower[0]
    # A product of another shape is summed in another order.
    assert alone.lower[0] == pytest.approx(both.lower[0], rel=1e-12)


def test_a_constant_quantity_has_a_point_as_interval() -> None:
    found = interval_of(np.ones((1, 10)), np.arange(10), 100)
    assert (found.lower[0], found.upper[0]) == (1, 1)


def test_a_missing_group_is_named() -> None:
    with pytest.raises(LayerhouseError, match="sample 1 of 3 has no group"):
        bootstrap_weights(["a", None, "b"], 10, seed=0)


def test_one_group_alone_is_refused() -> None:
    with pytest.raises(LayerhouseError, match="at least 2 groups"):
        bootstrap_weights(["a", "a"], 10, seed=0)


def test_intervals_cover_the_truth_95_times_in_100() -> None:
    """Accuracies of clustered samples: a group's samples share most of their luck."""
    rng = np.random.default_rng(7)
    n_groups, size, trials = 120, 4, 800
    groups = np.repeat(np.arange(n_groups), size)
    covered = 0
    for trial in range(trials):
        skill = rng.beta(2, 1, n_groups)  # mean 2/3, the true accuracy
        right = rng.random((1, n_groups * size)) < skill[groups]
        found = interval_of(right, groups, 300, seed=trial)
        covered += found.lower[0] <= 2 / 3 <= found.upper[0]
    assert 0.93 <= covered / trials <= 0.97


def test_samples_taken_for_groups_would_be_too_sure() -> None:
    """Why groups: ignoring them, the interval is far too narrow."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 8)
    right = (rng.random(100) < 0.7)[groups][None]
    honest = interval_of(right, groups, 500)
    naive = interval_of(right, np.arange(800), 500)
    assert honest.upper - honest.lower > 2 * (naive.upper - naive.lower)
