"""What repairs bring back of what a model lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.queries import read_query
from warehouse.catalogue import connect
from warehouse.lake import Lake

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Recovery:
    """A row of `recovered_share`; shares are None where there is no loss to be shared."""

    model_id: str
    stage: str
    repair: str
    control: str
    n_parameters: int
    answered_before: float
    answered_after: float
    gain: float
    gain_lower: float | None
    gain_upper: float | None
    auroc_before: float | None
    auroc_after: float | None
    stage_share: float | None
    total_share: float | None
    val_gain: float
    is_advised: bool
    is_calibration: bool | None


def read_recoveries(lake: Lake, model_id: str, dataset_id: str) -> list[Recovery]:
    """What the lake knows of a model's repairs on a dataset, cheapest first, controls last."""
    names = {"model": model_id, "dataset": dataset_id}
    with connect(lake) as wh:
        rows = wh.sql(read_query(QUERIES, "recoveries"), names).pl().to_dicts()
    return [Recovery(**row) for row in rows]
