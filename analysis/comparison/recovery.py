"""What share of a base's losses a repair brings back, resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.metrics import exceeds
from warehouse.vocabulary import ANSWER, STAGES

Floats = NDArray[np.float64]
Quantities = Mapping[tuple[str, str], Floats]

TOTAL = "total"
"""What stands for a stage where all losses together are meant."""

LACKING = 0.025
"""Where more resamples than this have no loss, the ends of a share's interval lie among them."""


def recovered(
    points: Sequence[Quantities], drawn: Sequence[Quantities]
) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """What the answers gain over what each stage of the base loses, and over all: (stage, quantity)
    to the share [1] and its resamples [n resamples].

    Each of a model with a repair and of its base, as `resampled` gives them. Gain and loss come
    from the same resample. A loss that is none, or that too many resamples lack, has no share.
    """
    answered = (ANSWER, "accuracy")
    if not all(answered in side for side in (*points, *drawn)):
        return {}
    found = {}
    at, by = (_losses(base) for _, base in (points, drawn))
    for stage, loss in at.items():
        is_lost = exceeds(by[stage], 0)
        if not exceeds(loss[0], 0) or 1 - is_lost.mean() > LACKING:
            continue
        shares = (
            np.divide(
                own[answered] - base[answered],
                lost,
                where=exceeds(lost, 0),
                out=np.full_like(lost, np.nan),
            )
            for (own, base), lost in ((points, loss), (drawn, by[stage]))
        )
        found[stage, "recovered_share"] = (next(shares), next(shares))
    return found


def _losses(base: Quantities) -> dict[str, Floats]:
    """What each stage of the base loses, and all of them; nothing where one is not known."""
    stages = {stage: base[stage, "loss"] for stage in STAGES if (stage, "loss") in base}
    if len(stages) < len(STAGES):
        return {}
    return {**stages, TOTAL: np.sum(list(stages.values()), axis=0)}
