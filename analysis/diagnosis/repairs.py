"""What repairs bring back of what a model lost."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.diagnosis.evidence import QUERIES
from analysis.metrics import exceeds
from analysis.queries import read_query
from warehouse.catalogue import Catalogue


@dataclass(frozen=True)
class Recovery:
    """A row of `recovered_share`; shares are None where there is no loss to be shared, bounds where
    the two were not compared on today's numbers, and what is of AUROC without likelihoods.
    """

    model_id: str
    stage: str
    repair: str
    control: str
    n_parameters: int
    seconds: float
    answered_before: float
    answered_after: float
    method_before: str
    method_after: str
    gain: float
    gain_lower: float | None
    gain_upper: float | None
    auroc_before: float | None
    auroc_after: float | None
    auroc_gain: float | None
    auroc_lower: float | None
    auroc_upper: float | None
    stage_share: float | None
    stage_share_lower: float | None
    stage_share_upper: float | None
    total_share: float | None
    total_share_lower: float | None
    total_share_upper: float | None
    val_gain: float
    is_advised: bool
    is_calibration: bool | None

    @property
    def title(self) -> str:
        """'connector/finetune'."""
        return f"{self.stage}/{self.repair}"

    @property
    def is_proven(self) -> bool:
        """Whether it helps on test for certain, or as far as is known where nothing was compared:
        it was chosen on val alone."""
        gain = self.gain if self.gain_lower is None else min(self.gain, self.gain_lower)
        return bool(exceeds(gain, 0))

    @property
    def is_of_one_method(self) -> bool:
        """Whether the answers with and without it are of one kind, so that the gain is its own."""
        return self.method_before == self.method_after


def read_recoveries(wh: Catalogue, model_id: str, dataset_id: str) -> tuple[Recovery, ...]:
    """What the lake knows of a model's repairs on a dataset, cheapest first, controls last."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "recoveries"), names).to_dicts()
    return tuple(Recovery(**row) for row in rows)
