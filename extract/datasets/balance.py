"""Which score fits a dataset: accuracy, unless one class holds far more than its even share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import ACCURACY, BALANCED_ACCURACY, SCORES

MOST_EVEN = 1.25
"""Times its even share that the largest class may hold for accuracy to be the usual score."""


def check_score(score: str | None) -> None:
    """UsageError with the nearest names for a score that is none; None leaves it to the rule."""
    if score is not None and score not in SCORES:
        raise UsageError(f"unknown score {score!r}{nearest(score, SCORES)}")


def usual_score(samples: Sequence[Mapping[str, Any]], n_classes: int) -> str:
    """The score of a dataset of these samples (rows with a `class_index`) unless one is named."""
    if not n_classes:
        return ACCURACY
    counts = Counter(row["class_index"] for row in samples)
    is_uneven = max(counts.values()) * n_classes > MOST_EVEN * len(samples)
    return BALANCED_ACCURACY if is_uneven else ACCURACY


def score_said(
    score: str, samples: Sequence[Mapping[str, Any]], classes: Sequence[Mapping[str, Any]]
) -> str:
    """The score with what speaks for it: how much the largest class holds."""
    index, most = Counter(row["class_index"] for row in samples).most_common(1)[0]
    label = next(row["label"] for row in classes if row["class_index"] == index)
    held, even = 100 * most / len(samples), 100 / len(classes)
    why = f"the largest class, {label}, holds {held:.0f}% where an even share is {even:.0f}%"
    return f"{score} ({why})"
