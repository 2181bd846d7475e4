"""The paper's way of reading a failure mode, for comparison: one pooled curve, stage by stage.

arXiv 2604.08333 probes averaged image tokens through the pipeline and the final input token at the
end of the decoder, and reads what is lost where off the steps between them. Here with the same
bootstrap, the same margin and the same words as the diagnosis proper, so that only the readouts
and the running maximum differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.bootstrap import bootstrap_weights, stratified_means
from analysis.diagnosis import LEVELS, Evidence, Predictor, Resampling
from analysis.metrics import exceeds
from warehouse.vocabulary import (
    ANSWER,
    CONNECTOR,
    FAILURE_MODES,
    HEALTHY,
    HEALTHY_UPPER,
    LLM,
    UNDETERMINED,
    VISION,
)

Floats = NDArray[np.float64]

TRACKS = {VISION: "mean", CONNECTOR: "mean", LLM: "last"}
MODES = tuple(FAILURE_MODES.values())


def mean_pooled_places(evidence: Evidence) -> list[Predictor] | None:
    """What stands for vision, connector, llm and answer in that reading; None if one is missing."""
    ends = {
        curve.module: curve.predictors[curve.end]
        for curve in evidence.curves
        if curve.end is not None and curve.track == TRACKS[curve.module]
    }
    answer = evidence.chosen.get(ANSWER)
    if len(ends) < len(TRACKS) or answer is None:
        return None
    return [*(ends[module] for module in TRACKS), answer]


def mean_pooled_verdict(
    evidence: Evidence, options: Resampling, reference: Floats | None = None
) -> str:
    """The verdict read from mean-pooled probes alone.

    `reference` [n samples] tells which test samples the reference gets right, in the evidence's
    order (default: the vision probe itself). A mode is the largest step down whose lower bound
    exceeds the margin; steps up count as no loss. Without one the same rule as for the diagnosis
    tells healthy from undetermined.
    """
    places = mean_pooled_places(evidence)
    if places is None or evidence.n_groups < 2:
        return UNDETERMINED
    own = evidence.correct[[evidence.rows[place] for place in places]]
    first = own[:1] if reference is None else np.maximum(reference, 0)[None]
    correct = np.concatenate([first, own])
    if np.isnan(correct).any():
        return UNDETERMINED
    weights, groups = bootstrap_weights(evidence.groups, options.n_resamples, options.seed)
    once = np.ones_like(weights[:1])
    point, drawn = (
        stratified_means(correct, evidence.strata, part, groups) for part in (once, weights)
    )
    if reference is not None:
        point[:, 0] = np.maximum(point[:, 0], point[:, 1])
        drawn[:, 0] = np.maximum(drawn[:, 0], drawn[:, 1])
    losses, resampled = -np.diff(point)[0], -np.diff(drawn)
    lower = np.quantile(resampled, LEVELS[0], axis=0)
    present = exceeds(lower, options.margin)
    if present.any():
        return MODES[int(np.argmax(np.where(present, losses, -np.inf)))]
    whole = np.quantile(drawn[:, 0] - drawn[:, -1], LEVELS)
    is_open = exceeds(whole, (options.margin, HEALTHY_UPPER)).any()
    return UNDETERMINED if is_open else HEALTHY
