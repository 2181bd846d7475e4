"""The bootstrap over groups: exact weights, paired resamples, honest coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from analysis.bootstrap import bootstrap_weights, stratified_means, weighted_means
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


def test_stratified_means_are_balanced_accuracies_of_every_resample() -> None:
    """By scikit-learn, of samples repeated as drawn; those that have no value are left out."""
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    groups, labels = rng.integers(8, size=40), rng.choice(3, size=40, p=[0.8, 0.1, 0.1])
    named = rng.integers(3, size=(2, 40))
    values = (named == labels).astype(float)
    values[1, :7] = np.nan
    weights, index = bootstrap_weights(groups, 30, seed=0)
    means = stratified_means(values, labels, weights, index)
    n_lacking = 0
    for resample in range(30):
        rows = np.repeat(np.arange(40), weights[resample][index].astype(int))
        for row, kept in enumerate((rows, rows[rows >= 7])):
            n_lacking += len(set(labels[kept])) < 3
            # It warns of classes that are named and not there, and takes those that are.
            with np.testing.suppress_warnings() as ignored:
                ignored.filter(UserWarning)
                wanted = balanced_accuracy_score(labels[kept], named[row][kept])
            assert means[resample, row] == pytest.approx(wanted)
    assert n_lacking > 0
    plain = stratified_means(values[:1], None, weights, index)
    np.testing.assert_allclose(plain, weighted_means(values[:1], weights, index), rtol=1e-12)


@pytest.mark.slow
def test_intervals_of_balanced_accuracy_hold_it_and_are_sharper_than_by_weights_of_the_set() -> (
    None
):
    """Three classes of 75, 15 and 10%, read with recalls of 0.9, 0.7 and 0.6 before a stage and of
    0.85, 0.55 and 0.5 behind it, by 600 sets of 150 groups of two samples of one class."""
    rng = np.random.default_rng(0)
    recalls = np.array([[0.9, 0.7, 0.6], [0.85, 0.55, 0.5]])
    truth = np.append(recalls.mean(1), recalls[0].mean() - recalls[1].mean())
    groups = np.repeat(np.arange(150), 2)
    inside, widths = [], []
    for seed in range(600):
        labels = np.repeat(rng.choice(3, size=150, p=[0.75, 0.15, 0.1]), 2)
        alike = np.repeat(rng.random(150) < 0.3, 2)
        draw = np.where(alike, np.repeat(rng.random(150), 2), rng.random(300))
        right = (draw < recalls[:, labels]).astype(float)
        weights, index = bootstrap_weights(groups, 400, seed)
        of_set = 1 / (3 * np.bincount(labels, minlength=3)[labels])
        drawn = weights[:, index]
        own = stratified_means(right, labels, weights, index)
        fixed = (drawn @ (right * of_set).T) / (drawn @ of_set)[:, None]
        lower, upper = np.quantile(
            np.stack([np.column_stack([w, w[:, 0] - w[:, 1]]) for w in (own, fixed)]),
            [0.025, 0.975],
            axis=1,
        )
        inside.append((lower[0] <= truth) & (truth <= upper[0]))
        widths.append(upper - lower)
    held, (sharp, blunt) = np.mean(inside, axis=0), np.mean(widths, axis=0)
    assert (held > 0.91).all()  # 0.94, 0.94 and 0.92
    assert (sharp[:2] < 0.98 * blunt[:2]).all()  # of either score; the losses' are alike


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
