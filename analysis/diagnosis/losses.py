"""The views' arithmetic on resampled accuracies: stages' accuracies, losses and health scores.

`stage_signal`, `stage_loss` and `feature_health` define these numbers; here they are computed once
per bootstrap resample. Tests hold both equal on the data as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from warehouse.vocabulary import ANSWER, STAGES, VISION

Floats = NDArray[np.float64]

LAMBDA = 0.2


def available_accuracies(chosen: Mapping[str, Floats]) -> dict[str, Floats]:
    """The accuracy still available after each stage: the running maximum from the answer backwards.

    chosen: test accuracy of each stage's candidate, [n resamples]. Stages without one are absent.
    """
    available: dict[str, Floats] = {}
    later: Floats | None = None
    for stage in reversed(STAGES):
        if stage in chosen:
            later = chosen[stage] if later is None else np.maximum(chosen[stage], later)
            available[stage] = later
    return available


def reference_accuracy(available: Mapping[str, Floats], baseline: Floats | None) -> Floats | None:
    """What the task allows, as far as shown: the accuracy after vision, or a better baseline.

    Each [n resamples]; None without an accuracy after vision.
    """
    vision = available.get(VISION)
    if vision is None or baseline is None:
        return vision
    return np.maximum(vision, baseline)


def stage_losses(available: Mapping[str, Floats], baseline: Floats | None) -> dict[str, Floats]:
    """What each stage loses of the stage before it, and the `total`; each [n resamples].

    The losses sum to the total: reference - answer. A loss without both its ends is absent.
    """
    reference = reference_accuracy(available, baseline)
    if reference is None:
        return {}
    losses = {}
    before: Floats | None = reference
    for stage in STAGES:
        after = available.get(stage)
        if before is not None and after is not None:
            losses[stage] = before - after
        before = after
    if ANSWER in available:
        losses["total"] = reference - available[ANSWER]
    return losses


def health_score(accuracies: Floats, start: int, end: int) -> Floats:
    """The paper's feature health score (arXiv 2604.08333) of curves [n resamples, n loci].

    `start` and `end` are the columns of the module's first and last locus. P_end = 0 scores 0;
    P_start · P_min = 0 has no score (NaN).
    """
    first, last, lowest = accuracies[:, start], accuracies[:, end], accuracies.min(axis=1)
    variation = np.abs(np.diff(accuracies, axis=1)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.log(last / np.sqrt(first * lowest))
        score = last * (1 + gain) * np.exp(-LAMBDA * variation / last)
    score[first * lowest == 0] = np.nan
    score[last == 0] = 0.0
    return score
