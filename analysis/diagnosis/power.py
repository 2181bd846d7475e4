"""What losses a dataset can show, before a model is run and after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from analysis.queries import read_query
from warehouse.catalogue import Warehouse, require_known
from warehouse.errors import LayerhouseError

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Size:
    """How many test images show a loss at 80% power, where two stages differ in nothing but what is
    lost, and where in two of ten images beside."""

    loss: float
    least_images: int
    likely_images: int


@dataclass(frozen=True)
class StagePower:
    """What shows of a stage: losses are fractions of the score; `total` is a stage too.

    `n_effective` is how many independent images the test set tells as much as, `n_to_settle` after
    how many of its kind the loss found would show; None where it does not exceed the margin.
    """

    stage: str
    loss: float
    disagreement: float
    n_effective: float
    detectable_loss: float
    n_to_settle: int | None


@dataclass(frozen=True)
class Power:
    """The smallest losses that a dataset shows at 80% power, in the two cases of `Size`; `stages`
    are those of a model that was examined on it."""

    dataset_id: str
    score: str
    n_samples: int
    n_groups: int
    n_effective: float
    least_detectable_loss: float
    likely_detectable_loss: float
    sizes: tuple[Size, ...]
    model_id: str | None = None
    stages: tuple[StagePower, ...] = ()


def read_power(wh: Warehouse, dataset_id: str, model_id: str | None = None) -> Power:
    """UsageError for a name that the lake does not know; LayerhouseError where nothing is labelled,
    and where the model was not examined at two stages."""
    require_known(wh, "dataset", dataset_id)
    rows = wh.sql(read_query(QUERIES, "dataset_power"), {"dataset": dataset_id}).fetchall()
    if not rows:
        raise LayerhouseError(
            f"{dataset_id} has no labelled test images, so that no loss can be shown on it"
        )
    score, n_samples, n_groups, n_effective, least, likely = rows[0][:6]
    sizes = tuple(Size(*row[6:]) for row in rows)
    power = Power(dataset_id, score, n_samples, n_groups, n_effective, least, likely, sizes)
    if model_id is None:
        return power
    require_known(wh, "model", model_id)
    names = {"model": model_id, "dataset": dataset_id}
    stages = wh.sql(read_query(QUERIES, "stage_power"), names).fetchall()
    if not stages:
        raise LayerhouseError(
            f"of {model_id} on {dataset_id} no two stages can be held against each other yet: run "
            f"`layerhouse probe --model {quote(model_id)} --dataset {quote(dataset_id)}`, or leave "
            "out --model"
        )
    return replace(power, model_id=model_id, stages=tuple(StagePower(*row) for row in stages))
