"""What holds of many losses at once: the stages of all models on one board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.bootstrap import bootstrap_weights
from analysis.diagnosis.evidence import Evidence
from analysis.diagnosis.intervals import LEVELS, Resampling, resampled
from warehouse.vocabulary import STAGES


@dataclass(frozen=True)
class FamilyLoss:
    """One of several losses, and what it is at least if all of them are looked at together."""

    model_id: str
    stage: str
    loss: float
    lower: float


def family_losses(
    evidences: Mapping[str, Evidence], options: Resampling | None = None
) -> list[FamilyLoss]:
    """The losses of several models on one dataset, with bounds that hold for all of them at once in
    97.5% of samplings, as the lower end of a 95% interval does for one.

    How far the furthest of all losses lies above its point, in standard errors, is taken from the
    same resamples of test groups for all models (a single-step max-T, Westfall and Young 1993):
    losses that rise and fall together cost less than as many independent ones. Under folds standard
    errors are widened as intervals are.
    """
    if not evidences:
        return []
    options = options or Resampling()
    groups = next(iter(evidences.values())).groups  # those of all test samples, whoever saw which
    weights, index = bootstrap_weights(groups, options.n_resamples, options.seed)
    names, points, drawn, widenings = [], [], [], []
    for model_id, evidence in evidences.items():
        found = resampled(evidence, weights, index)
        as_it_is = resampled(evidence, np.ones_like(weights[:1]), index)
        for stage in STAGES:
            if (stage, "loss") in found:
                names.append((model_id, stage))
                points.append(as_it_is[stage, "loss"][0])
                drawn.append(found[stage, "loss"])
                widenings.append(evidence.widening)
    if not names:
        return []
    centre, draws = np.array(points), np.stack(drawn, axis=1)
    errors = np.nanstd(draws, axis=0)
    moves = errors > 0
    reach = 0.0
    if moves.any():
        furthest = np.nanmax((draws - centre)[:, moves] / errors[moves], axis=1)
        reach = float(np.nanquantile(furthest, LEVELS[1]))
    lower = centre - reach * errors * np.array(widenings)
    return [
        FamilyLoss(model_id, stage, float(loss), float(bound))
        for (model_id, stage), loss, bound in zip(names, centre, lower, strict=True)
    ]
