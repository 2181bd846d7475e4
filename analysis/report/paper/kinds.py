"""Which figures there are for a paper, by name, and why there may be none of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis.report import figures
from analysis.report.reading import DatasetPage, ModelPage
from analysis.report.svg import Drawing

ANSWERS_ALONE = "no layer of this model is known: its answers were brought from elsewhere"
NOT_RUN_HERE = "the states of this model were brought from elsewhere, and it is not run here"


@dataclass(frozen=True)
class OfModel:
    """A figure of one model on one dataset; `missing` says why it may not be there.

    One that is `of_layers` is of no model of which answers alone are known; `brought` is said of
    models whose states were brought, where they cannot do what `missing` says.
    """

    draw: Callable[[ModelPage], Drawing | None]
    missing: str
    of_layers: bool = True
    brought: str | None = None

    def why_missing(self, page: ModelPage) -> str:
        """Why a model has none, and what would make it, where something would."""
        if self.of_layers and not page.loci.rows:
            return ANSWERS_ALONE
        return self.brought if self.brought is not None and page.is_brought else self.missing


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
        brought="no stage can be compared with the one before it: run `layerhouse probe`, and "
        "`layerhouse answers import`",
    ),
    "health-profile": OfModel(
        figures.health_profile, "no module has probes at its first and last layer"
    ),
    "prompts": OfModel(figures.prompts, "it was asked by one prompt only", of_layers=False),
    "confusion": OfModel(
        figures.confusion, "there is neither a last probe nor an answer", of_layers=False
    ),
    "lens": OfModel(figures.lens, "the lake holds no logit lens of it"),
    "causal": OfModel(
        figures.causal, "nothing was patched: run `layerhouse patch`", brought=NOT_RUN_HERE
    ),
    "ownership": OfModel(
        figures.ownership, "nothing was steered: run `layerhouse steer`", brought=NOT_RUN_HERE
    ),
    "nuisance": OfModel(
        figures.nuisance, "no attribute was probed: run `layerhouse probe --target`"
    ),
    "self-test": OfModel(
        figures.self_test,
        "the diagnosis was not tested: run `layerhouse diagnose --self-test`",
        brought=NOT_RUN_HERE,
    ),
}

DATASET_FIGURES: Mapping[str, OfDataset] = {
    "overview": OfDataset(figures.overview, "no model has answered: run `layerhouse extract`"),
    "pairs": OfDataset(figures.pairs, "no two models were compared: run `layerhouse compare`"),
}

OVERLAY = "signal-curves"
"""All models of a dataset in one figure, and all datasets beside each other."""
