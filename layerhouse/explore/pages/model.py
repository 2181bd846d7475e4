"""One model on one dataset: verdict, curves, losses, outcomes and confusions."""

from __future__ import annotations

from typing import Any

from analysis.report import MODEL_FIGURES, ModelPage, read_pages
from layerhouse.explore.drawing import drawn
from layerhouse.explore.pages.outcomes import OUTCOMES
from layerhouse.explore.pages.published import published_model, tells_all
from layerhouse.explore.visit import Visit
from warehouse.catalogue import Warehouse

FIGURES = ("signal-curve", "causal", "losses", "health-profile", "confusion")
SHOWN = {
    "signal curve": "curve",
    "loci": "loci",
    "stages": "signals",
    "answers": "answers",
    "baselines": "baselines",
    "causal curve": "causal",
    "losses": "losses",
    "health": "health",
    "confusion": "confusion",
    "classes": "classes",
}
"""The queries behind the figures, by what they are called on the page."""
MISTAKES = 12
OLDER = "an older Layerhouse wrote this file, without patches: publish it again"


def model_page(visit: Visit) -> dict[str, Any]:
    """What the lake, or the published file, says of the model that the address names."""
    row = visit.pair()
    model_id, dataset_id = row["model_id"], row["dataset_id"]
    names = {"model": model_id, "dataset": dataset_id}
    if visit.lake is not None:
        model = _read(visit.lake, model_id, dataset_id)
    else:
        model = published_model(visit, row)
    for name, part in SHOWN.items():
        table = getattr(model, part)
        if table.sql:
            visit.keep(name, table)
    outcomes = {each["outcome"]: each["samples"] for each in visit.rows("outcomes", **names)}
    return {
        "row": row,
        "model": model,
        "figures": {name: drawn(MODEL_FIGURES[name].draw(model)) for name in FIGURES},
        "missing": {name: _missing(visit, model, name) for name in FIGURES},
        "outcomes": {key: outcomes[key] for key in OUTCOMES if key in outcomes},
        "n_outcomes": sum(outcomes.values()),
        "outcome_words": OUTCOMES,
        "mistakes": visit.rows("mistakes", **names, most=MISTAKES),
        "others": visit.beside(row),
    }


def _missing(visit: Visit, model: ModelPage, name: str) -> str:
    """What stands in the place of a figure that there is not."""
    if name == "causal" and visit.lake is None and not tells_all(visit):
        return OLDER
    figure = MODEL_FIGURES[name]
    # No mart says whether layers that were not probed are known.
    return figure.why_missing(model) if visit.lake is not None else figure.reason


def _read(lake: Warehouse, model_id: str, dataset_id: str) -> ModelPage:
    """As the report has it, without images."""
    (dataset,) = read_pages(lake, [(model_id, dataset_id)], 0).datasets
    (model,) = dataset.models
    return model
