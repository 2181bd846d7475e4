"""A fact that tells the class is found with its true score; one that does not is not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.audit.shortcuts import balanced_accuracy, categories, find_shortcuts, names_samples
from warehouse.vocabulary import SHORTCUT


def test_a_planted_shortcut_scores_what_it_is_worth() -> None:
    """Size tells the class of 80% of the images and of the rest nothing: (1 + 0.8) / 2."""
    rng = np.random.default_rng(0)
    scores, covered = [], 0
    for trial in range(40):
        labels = rng.integers(2, size=400)
        told = rng.random(400) < 0.8
        size = np.where(told, labels, rng.integers(2, size=400)) * 100.0 + 50
        groups = [f"g{i // 2}" for i in range(400)]
        (found,) = find_shortcuts({"size": size.tolist()}, labels, groups, f"d{trial}")
        scores.append(found.balanced_accuracy)
        covered += found.lower <= 0.9 <= found.upper
        assert found.chance == 0.5
    assert np.mean(scores) == pytest.approx(0.9, abs=0.01)
    assert covered >= 35


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_a_fact_that_says_nothing_is_rarely_taken_for_a_shortcut(share: float) -> None:
    """However unequal the classes: a finding's lower bound lies above chance and the margin."""
    rng = np.random.default_rng(1)
    alarms = 0
    for trial in range(60):
        labels = (rng.random(300) > share).astype(np.int64)
        facts = {"brightness": rng.normal(size=300).tolist()}
        (found,) = find_shortcuts(facts, labels, [f"g{i}" for i in range(300)], f"d{trial}")
        alarms += found.lower > found.chance + SHORTCUT
    assert alarms <= 1


def test_groups_are_kept_whole_so_a_patients_own_value_says_nothing() -> None:
    """Each of 60 patients has a value and a class of their own: known where folds cut them."""
    patient = np.repeat(np.arange(60), 5)
    labels = (np.random.default_rng(2).random(60) < 0.5).astype(np.int64)[patient]
    values = [f"scanner-{number}" for number in patient]
    (found,) = find_shortcuts({"scanner": values}, labels, [str(p) for p in patient], "d")
    assert found.lower <= found.chance


def test_intervals_are_over_groups_not_over_images() -> None:
    labels = np.repeat(np.arange(100) % 2, 10)
    right = np.repeat(np.random.default_rng(3).random(100) < 0.7, 10)
    groups = [str(i // 10) for i in range(1000)]
    score, wide = balanced_accuracy(right, labels, groups)
    same, narrow = balanced_accuracy(right, labels, [str(i) for i in range(1000)])
    assert score == same
    assert wide == pytest.approx(narrow * np.sqrt(10), rel=0.02)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        pytest.param(["PA", None, "AP", "PA"], [2, 0, 1, 2], id="words, a missing one beside"),
        pytest.param(["1", "0", "1"], [1, 0, 1], id="few numbers are words"),
        pytest.param([str(i) for i in range(20)], [i // 2 for i in range(20)], id="ten parts"),
        pytest.param([None, *map(str, range(20))], [0, *(i // 2 + 1 for i in range(20))], id="gap"),
        pytest.param(["nan", "1", "2"], [2, 0, 1], id="nan is a word"),
    ],
)
def test_values_become_categories(values: list[str | None], codes: list[int]) -> None:
    assert categories(values).tolist() == codes


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["a.png", "b.png", "c.png", "d.png"], True),
        (["PA", "AP", "PA", "AP"], False),
        (["1.5", "2.5", "3.5", "4.5"], False),
        ([None, None, None, "x"], False),
    ],
)
def test_names_of_single_samples_are_no_facts(values: list[str | None], named: bool) -> None:
    assert names_samples(values) is named


def test_one_class_or_too_few_groups_say_nothing() -> None:
    facts = {"size": [1.0, 2.0, 1.0, 2.0]}
    assert find_shortcuts(facts, np.zeros(4, dtype=np.int64), list("abcd"), "d") == []
    assert find_shortcuts(facts, np.array([0, 1, 0, 1]), list("aabb"), "d") == []
