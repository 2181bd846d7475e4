"""Which figures there are for a paper, by name, and why there may be none of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis.report import figures
from analysis.report.reading import DatasetPage, ModelPage
from analysis.report.svg import Drawing


@dataclass(frozen=True)
class OfModel:
    """A figure of one model on one dataset; `missing` says why it may not be there."""

    draw: Callable[[ModelPage], Drawing | None]
    missing: str


@dataclass(frozen=True)
class OfDataset:
    """A figure of the models on one dataset."""

    draw: Callable[[DatasetPage], Drawing | None]
    missing: str


def _signal_curve(page: ModelPage) -> Drawing | None:
    """On paper without probes there is nothing to see; the report's has the answer at least."""
    return figures.signal_curve(page) if page.curve.rows else None


MODEL_FIGURES: Mapping[str, OfModel] = {
    "signal-curve": OfModel(_signal_curve, "no layer was probed: run `layerhouse probe`"),
    "losses": OfModel(
        figures.waterfall,
        "no stage can be compared with the one before it: run `layerhouse probe`, and `layerhouse "
        "extract` with answers",
    ),
    "health-profile": OfModel(
        figures.health_profile, "no module has probes at its first and last layer"
    ),
    "prompts": OfModel(figures.prompts, "it was asked by one prompt only"),
    "confusion": OfModel(figures.confusion, "there is neither a last probe nor an answer"),
    "lens": OfModel(figures.lens, "the lake holds no logit lens of it"),
    "causal": OfModel(figures.causal, "nothing was patched: run `layerhouse patch`"),
    "ownership": OfModel(figures.ownership, "nothing was steered: run `layerhouse steer`"),
    "nuisance": OfModel(
        figures.nuisance, "no attribute was probed: run `layerhouse probe --target`"
    ),
    "self-test": OfModel(
        figures.self_test, "the diagnosis was not tested: run `layerhouse diagnose --self-test`"
    ),
}

DATASET_FIGURES: Mapping[str, OfDataset] = {
    "overview": OfDataset(figures.overview, "no model has answered: run `layerhouse extract`"),
    "pairs": OfDataset(figures.pairs, "no two models were compared: run `layerhouse compare`"),
}

OVERLAY = "signal-curves"
"""All models of a dataset in one figure, and all datasets beside each other."""

FIGURES = (*MODEL_FIGURES, *DATASET_FIGURES, OVERLAY)
"""All of them."""
