"""Bootstrap intervals for everything the verdict and the health profile rest on.

Whole test groups are resampled with replacement, the same draw for every predictor (a paired
bootstrap), and accuracies by the dataset's score (under balanced accuracy with the weights of the
resample's own classes), running maxima, reference and losses are computed anew in each resample;
95% intervals are the 2.5% and 97.5% quantiles.

Of out-of-fold predictions they are widened about the point (`Evidence.widening`).

Properties to know. A maximum of noisy accuracies is biased upwards, and a resampled maximum
more so: losses against a running maximum lean to the large side by a fraction of their own standard
error, and a loss whose true value is 0 has an interval that starts at 0. That is why a failure mode
must clear a margin and not merely 0. Noise also adds variation to a curve, so resampled health
scores lean to the low side, the more the longer the curve. And the choice of candidates on val is
not resampled: the intervals speak of the chosen readouts, not of the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.bootstrap import bootstrap_weights, stratified_means
from analysis.diagnosis.evidence import Evidence, Predictor
from analysis.diagnosis.losses import (
    available_accuracies,
    health_score,
    reference_accuracy,
    stage_losses,
)
from warehouse.vocabulary import MARGIN, N_RESAMPLES

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Resampling:
    """How the intervals are drawn; equal options and evidence give equal intervals."""

    n_resamples: int = N_RESAMPLES
    margin: float = MARGIN
    seed: int = 0


def interval_rows(
    evidence: Evidence, options: Resampling, model_id: str, dataset_id: str
) -> dict[str, list[dict[str, Any]]]:
    """Rows of `stage_interval` and `health_interval`. Needs at least two test groups."""
    weights, group_index = bootstrap_weights(evidence.groups, options.n_resamples, options.seed)
    point = _means(evidence, np.ones_like(weights[:1]), group_index)
    drawn = _means(evidence, weights, group_index)
    common = {
        "model_id": model_id,
        "dataset_id": dataset_id,
        "n_resamples": options.n_resamples,
        "n_groups": evidence.n_groups,
        "score": evidence.score,
    }
    stages = _stage_quantities(evidence, point), _stage_quantities(evidence, drawn)
    health = _health_quantities(evidence, point), _health_quantities(evidence, drawn)
    return {
        "stage_interval": [
            {
                **common,
                "stage": stage,
                "quantity": quantity,
                "margin": options.margin,
                **bounds(stages[0][stage, quantity], stages[1][stage, quantity], evidence.widening),
            }
            for stage, quantity in stages[0]
        ],
        "health_interval": [
            {
                **common,
                "module": module,
                "track": track,
                **bounds(health[0][module, track], health[1][module, track], evidence.widening),
            }
            for module, track in health[0]
        ],
    }


def resampled(
    evidence: Evidence, weights: Floats, group_index: NDArray[np.intp]
) -> dict[tuple[str, str], Floats]:
    """Every (stage, quantity), each [n resamples]; a score is the quantity `health_<track>`.

    weights and group_index as `bootstrap_weights` gives them. The stage `total` is left out.
    """
    means = _means(evidence, weights, group_index)
    health = {
        (module, f"health_{track}"): values
        for (module, track), values in _health_quantities(evidence, means).items()
    }
    stages = _stage_quantities(evidence, means)
    return {key: values for key, values in stages.items() if key[0] != "total"} | health


def _means(evidence: Evidence, weights: Floats, group_index: NDArray[np.intp]) -> Floats:
    """Score per resample and predictor [n resamples, n predictors], over its tested samples."""
    return stratified_means(evidence.correct, evidence.strata, weights, group_index)


def _stage_quantities(evidence: Evidence, means: Floats) -> dict[tuple[str, str], Floats]:
    """Every (stage, quantity), each [n resamples]; the total's accuracy is the reference."""

    def of(predictor: Predictor) -> Floats:
        return means[:, evidence.rows[predictor]]

    stages = {stage: of(chosen) for stage, chosen in evidence.chosen.items()}
    baseline = stages.pop("reference", None)
    available = available_accuracies(stages)
    losses = stage_losses(available, baseline)
    reference = reference_accuracy(available, baseline)
    if reference is not None:
        available["total"] = reference
    # `signal` is the name that accuracies had, kept for one version.
    return {
        (stage, quantity): values
        for quantity, found in (("accuracy", available), ("signal", available), ("loss", losses))
        for stage, values in found.items()
    }


def _health_quantities(evidence: Evidence, means: Floats) -> dict[tuple[str, str], Floats]:
    """The health score of every curve that has one, each [n resamples]."""
    scores = {}
    for curve in evidence.curves:
        if curve.start is None or curve.end is None:
            continue
        columns = [evidence.rows[predictor] for predictor in curve.predictors]
        scores[curve.module, curve.track] = health_score(means[:, columns], curve.start, curve.end)
    return scores


def bounds(point: Floats, drawn: Floats, widening: float = 1.0) -> dict[str, float | None]:
    """Point [1] and percentile bounds of what is drawn [n resamples], widened about the point.

    A resample without a score says nothing about the bounds.
    """
    defined = drawn[~np.isnan(drawn)]
    lower, upper = np.quantile(defined, LEVELS) if len(defined) else (np.nan, np.nan)
    lower, upper = (
        point[0] + widening * (lower - point[0]),
        point[0] + widening * (upper - point[0]),
    )
    values = {"point": point[0], "lower": lower, "upper": upper}
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}
