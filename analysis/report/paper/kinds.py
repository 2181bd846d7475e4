"""Which figures there are for a paper, by name, and why there may be none of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis.report import figures
from analysis.report.reading import DatasetPage, ModelPage
from analysis.report.svg import Drawing
from analysis.report.words import WHAT_TO_RUN

ANSWERS_ALONE = "no layer of this model is known: its answers were brought from elsewhere"
RUN = ": run "
"""Stands between why a figure is missing and the commands that make it."""
NOT_RUN_HERE = "the states of this model were brought from elsewhere, and it is not run here"


@dataclass(frozen=True)
class OfModel:
    """A figure of one model on one dataset; `missing` says why it may not be there and, behind RUN,
    the commands that make it, with places for a row of `queries/commands.sql`.

    One that is `of_layers` is of no model of which answers alone are known; `brought` is said of
    models whose states were brought, where they cannot do what `missing` says.
    """

    draw: Callable[[ModelPage], Drawing | None]
    missing: str
    of_layers: bool = True
    brought: str | None = None

    @property
    def reason(self) -> str:
        """Why it may not be there, without a command."""
        return reason_in(self.missing)

    def why_missing(self, page: ModelPage) -> str:
        """Why a model has none, and what would make it, where something would."""
        if self.of_layers and not page.loci.rows:
            return ANSWERS_ALONE
        said = self.brought if self.brought is not None and page.is_brought else self.missing
        return page.with_commands(said) or reason_in(said)


@dataclass(frozen=True)
class OfDataset:
    """A figure of the models on one dataset."""

    draw: Callable[[DatasetPage], Drawing | None]
    missing: str


def reason_in(missing: str) -> str:
    """What is said before the commands."""
    return missing.partition(RUN)[0]


def _signal_curve(page: ModelPage) -> Drawing | None:
    """On paper without probes there is nothing to see; the report's has the answer at least."""
    return figures.signal_curve(page) if page.curve.rows else None


MODEL_FIGURES: Mapping[str, OfModel] = {
    "signal-curve": OfModel(
        _signal_curve, "no layer was probed: run `layerhouse probe{arguments}`"
    ),
    "losses": OfModel(
        figures.waterfall,
        "no stage can be compared with the one before it: run `layerhouse extract{making}`, then "
        "`layerhouse probe{arguments}`",
        brought="no stage can be compared with the one before it: run `layerhouse "
        "probe{arguments}`, and bring answers with `layerhouse answers import FILE{arguments}`",
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
        figures.causal,
        "nothing was patched between images: run `layerhouse patch{making}`",
        brought=NOT_RUN_HERE,
    ),
    "ownership": OfModel(
        figures.ownership,
        "nothing was steered: run `layerhouse steer{making}`",
        brought=NOT_RUN_HERE,
    ),
    "nuisance": OfModel(
        figures.nuisance,
        "no attribute was probed: run `layerhouse probe{arguments} --target ATTRIBUTE`",
    ),
    "self-test": OfModel(
        figures.self_test,
        "the diagnosis was not tested: run `layerhouse diagnose{plain} --self-test`",
        brought=NOT_RUN_HERE,
    ),
}

DATASET_FIGURES: Mapping[str, OfDataset] = {
    "overview": OfDataset(figures.overview, f"no model has answered: {WHAT_TO_RUN}"),
    "pairs": OfDataset(figures.pairs, "no two models were compared: run `layerhouse compare`"),
}

OVERLAY = "signal-curves"
"""All models of a dataset in one figure, and all datasets beside each other."""
