"""Marks: what probes, patching and mending say of each failure mode."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.diagnosis.evidence import QUERIES
from analysis.diagnosis.repairs import Recovery, read_recoveries
from analysis.queries import read_query
from warehouse.catalogue import Catalogue


@dataclass(frozen=True)
class Mark:
    """A row of `evidence_mark`: shares with their 95% bounds, and of what was not measured the
    command that would, or why none can.

    `tried` are the stage's repairs that were, as STAGE/REPAIR, by comma.
    `is_lost`, `is_caused` and `is_mended` are None where intervals leave it open; `claim` is what
    may be said of a loss that is present, and None of others.
    """

    failure_mode: str
    stage: str
    is_present: bool
    is_primary: bool
    loss: float | None
    loss_lower: float | None
    loss_upper: float | None
    is_lost: bool | None
    information_missing: str | None
    donor_model_id: str | None
    donor_gain: float | None
    restored_share: float | None
    restored_lower: float | None
    restored_upper: float | None
    is_caused: bool | None
    use_missing: str | None
    tried: str | None
    repair: str | None
    n_parameters: int | None
    seconds: float | None
    repair_gain: float | None
    repair_gain_lower: float | None
    repair_gain_upper: float | None
    recovered_share: float | None
    recovered_lower: float | None
    recovered_upper: float | None
    is_calibration: bool | None
    is_mended: bool | None
    cure_missing: str | None
    claim: str | None


@dataclass(frozen=True)
class Marks:
    """Those of the four failure modes, in pipeline order, and what repairs bring, cheapest first;
    nothing of a lake in which nothing was looked at."""

    modes: tuple[Mark, ...] = ()
    repairs: tuple[Recovery, ...] = ()

    def of(self, stage: str) -> Mark | None:
        return next((mark for mark in self.modes if mark.stage == stage), None)

    @property
    def advised(self) -> Recovery | None:
        """The sufficient repair with the fewest trained parameters, chosen on val."""
        return next((each for each in self.repairs if each.is_advised), None)

    @property
    def tried_in_vain(self) -> bool:
        """Whether repairs were trained, and none of them helps on val."""
        return self.advised is None and any(mark.tried for mark in self.modes)

    @property
    def is_helped(self) -> bool:
        """Whether the advised repair helps on test, too, for all that is known."""
        return self.advised is not None and self.advised.is_proven


def read_marks(wh: Catalogue, model_id: str, dataset_id: str) -> Marks:
    """What the lake holds of the three kinds of evidence for a model on a dataset."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "marks"), names).to_dicts()
    return Marks(tuple(Mark(**row) for row in rows), read_recoveries(wh, model_id, dataset_id))
