"""What two models must have in common to be compared: the samples they were tried on, and the score
that their probes are fitted for."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

import numpy as np

from analysis.diagnosis import Evidence
from warehouse.errors import LayerhouseError
from warehouse.variants import making
from warehouse.vocabulary import STAGES


@dataclass(frozen=True)
class Pair:
    """A model, the model it is compared with, and the dataset both were run on."""

    model_id: str
    base_model_id: str
    dataset_id: str

    @property
    def names(self) -> dict[str, str]:
        return {"model": self.model_id, "base": self.base_model_id, "dataset": self.dataset_id}

    @property
    def keys(self) -> dict[str, str]:
        """The same as columns of a table."""
        return {
            "model_id": self.model_id,
            "base_model_id": self.base_model_id,
            "dataset_id": self.dataset_id,
        }


class NotComparableError(LayerhouseError):
    """These two models have nothing that could be set side by side on this dataset."""


def require_same_fits(pair: Pair, model: Evidence, base: Evidence) -> None:
    """Where both were probed, both must be read by probes for the same score."""
    fits = [side.is_fitted_otherwise for side in (model, base)]
    if None not in fits and fits[0] != fits[1]:
        name = pair.model_id if fits[0] else pair.base_model_id
        raise NotComparableError(
            f"the probes of {pair.model_id} and of {pair.base_model_id} on {pair.dataset_id} are "
            f"fitted for different scores: run `layerhouse probe --model {quote(name)} --dataset "
            f"{quote(pair.dataset_id)}`"
        )


def require_same_samples(pair: Pair, model: Evidence, base: Evidence) -> None:
    """Both must have been tested on the same samples, of at least two groups."""
    sizes = [int(side.tested.sum()) for side in (model, base)]
    if not np.array_equal(model.tested, base.tested):
        either = model.tested | base.tested
        sides = {pair.model_id: model, pair.base_model_id: base}
        lacking = [name for name, side in sides.items() if not side.tested[either].all()]
        steps = [
            f"`layerhouse extract {making(name, pair.dataset_id)}` and `layerhouse probe --model "
            f"{quote(name)} --dataset {quote(pair.dataset_id)}`"
            for name in lacking
        ]
        raise NotComparableError(
            f"{pair.model_id} was tested on {sizes[0]} samples of {pair.dataset_id} and "
            f"{pair.base_model_id} on {sizes[1]}, not all of them the same: run "
            f"{' and '.join(steps)}, without --limit"
        )
    if model.n_groups < 2:
        raise NotComparableError(
            f"the test samples of {pair.dataset_id} form a single group, which leaves nothing to "
            "resample: an interval needs at least 2 groups"
        )


def stages_apart(model: Evidence, base: Evidence) -> set[str]:
    """The stages that the two were tried on other samples at, such as answers to some of them."""
    return {
        stage
        for stage in model.chosen.keys() & base.chosen.keys()
        if not np.array_equal(
            *(np.isnan(side.correct[side.rows[side.chosen[stage]]]) for side in (model, base))
        )
    }


def stages_of(stage: str, quantity: str) -> set[str]:
    """Between which samples right at what stages a difference lies; none for all else."""
    if quantity not in ("accuracy", "signal", "loss") or stage not in STAGES:
        return set()
    place = STAGES.index(stage)
    return set(STAGES[max(place - 1, 0) : place + 1]) if quantity == "loss" else {stage}
