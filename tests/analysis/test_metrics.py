"""Every score equals scikit-learn's on any labels and logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sk

from tests.analysis import scores
from warehouse.errors import LayerhouseError

Case = tuple[np.ndarray, np.ndarray]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Labels [n] that show every class, and logits [n, classes] with ties."""
    n_classes = draw(st.integers(2, 5))
    rest = draw(st.lists(st.integers(0, n_classes - 1), min_size=0, max_size=40))
    labels = np.array([*range(n_classes), *rest])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = rng.normal(size=(len(labels), n_classes)).round(draw(st.integers(0, 3)))
    return labels, logits + draw(st.sampled_from([0.0, 0.5])) * np.eye(n_classes)[labels]


@given(cases())
@settings(max_examples=60, deadline=None)
def test_scores_of_predictions_equal_scikit_learn(case: Case) -> None:
    labels, logits = case
    named = logits.argmax(1)
    assert scores.accuracy(labels, named) == pytest.approx(sk.accuracy_score(labels, named))
    assert scores.balanced_accuracy(labels, named) == pytest.approx(
        sk.balanced_accuracy_score(labels, named)
    )
    assert scores.macro_f1(labels, named) == pytest.approx(
        sk.f1_score(labels, named, average="macro", zero_division=0)
    )


@given(cases())
@settings(max_examples=60, deadline=None)
def test_scores_of_logits_equal_scikit_learn(case: Case) -> None:
    labels, logits = case
    probability = scores.softmax(logits)
    columns = np.arange(logits.shape[1])
    assert scores.log_loss(labels, logits) == pytest.approx(
        sk.log_loss(labels, probability, labels=columns), rel=1e-6
    )
    one_versus_rest = [sk.roc_auc_score(labels == k, probability[:, k]) for k in columns]
    assert scores.auroc(labels, logits) == pytest.approx(np.mean(one_versus_rest))


@given(cases(), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_calibration_error_equals_a_loop_over_bins(case: Case, bins: int) -> None:
    labels, logits = case
    probability = scores.softmax(logits)
    confidence, right = probability.max(1), probability.argmax(1) == labels
    # A certain prediction may come out a last digit above one.
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    expected = 0.0
    for index in range(bins):
        low, high = index / bins, (index + 1) / bins
        inside = (place == index) & (confidence > low - 1e-9)
        inside &= confidence <= high + 1e-9
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    assert scores.expected_calibration_error(labels, logits, bins) == pytest.approx(expected)


@given(cases())
@settings(max_examples=20, deadline=None)
def test_rows_are_scored_alone(case: Case) -> None:
    """Leading axes are independent, except that classes of any row count as known."""
    labels, logits = case
    other = np.roll(logits, 1, axis=0)
    stack = np.stack([logits, other])
    for score in (scores.log_loss, scores.auroc, scores.expected_calibration_error):
        np.testing.assert_allclose(score(labels, stack), [score(labels, row) for row in stack])
    for score in (scores.accuracy, scores.balanced_accuracy, scores.macro_f1):
        np.testing.assert_allclose(
            score(labels, stack.argmax(-1)), [score(labels, row.argmax(-1)) for row in stack]
        )


def test_chance_is_the_largest_class_and_correction_maps_it_to_zero() -> None:
    assert scores.chance([0, 0, 0, 1]) == 0.75
    np.testing.assert_allclose(scores.chance_corrected([0.75, 1.0, 0.5], 0.75), [0, 1, -1])
    assert scores.chance_corrected(1.0, 1.0) == 0


def test_large_logits_do_not_overflow() -> None:
    assert scores.log_loss([0, 1], [[1000.0, 0.0], [0.0, 1000.0]]) == 0


def test_no_labels_are_refused() -> None:
    with pytest.raises(LayerhouseError, match="non-empty"):
        scores.accuracy([], [])


def test_a_curve_needs_two_classes() -> None:
    with pytest.raises(LayerhouseError, match="two classes"):
        scores.auroc([1, 1], [[0.0, 1.0], [1.0, 0.0]])
