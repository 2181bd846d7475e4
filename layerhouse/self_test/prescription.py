"""The prescription test: weights of known stages are damaged, and every stage is mended.

Each damage is an ordinary variant, extracted and mended as anybody would, so everything of it stays
in the lake, and a test that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import UsageError, number_in_name
from warehouse.progress import Progress
from warehouse.vocabulary import ANSWER, COSTLY, STAGES

if TYPE_CHECKING:
    from layerhouse.functions import Mending
    from warehouse.lake import Lake

SHARES = (0.3, 0.6, 1.0)
"""Of the classes whose rows of the head change places, where other stages are left with ranks."""


@dataclass(frozen=True)
class PrescriptionGrid:
    """Which damage is done: the matrices of every stage brought down to each rank, of the head as
    many of `SHARES` of the classes' rows put in each other's places, each with every seed.

    Noise on weights (`damage`) would cost as much, and leave the class readable behind it: then a
    repair of another stage with fewer parameters does, and is the cheaper cure.
    """

    severities: tuple[float, ...] = (4, 2, 1)
    seeds: int = 3

    def __post_init__(self) -> None:
        if not 1 <= len(self.severities) <= len(SHARES):
            raise UsageError("the prescription test takes one to three severities")
        if self.seeds < 1:
            raise UsageError("the prescription test needs at least one seed")

    @property
    def ranks(self) -> list[str]:
        return [number_in_name(f"the severity {rank}", rank) for rank in self.severities]

    def damages(self) -> Iterator[str]:
        """The faults' texts, all of one seed together."""
        for seed in range(self.seeds):
            seeded = f",seed={seed}" if seed else ""
            for stage in STAGES:
                if stage == ANSWER:
                    shares = SHARES[-len(self.severities) :]
                    yield from (f"damage@{stage}:{share:g}{seeded}" for share in shares)
                else:
                    yield from (f"lowrank@{stage}:{rank}{seeded}" for rank in self.ranks)


@dataclass(frozen=True)
class Prescribed:
    """What was damaged, and what mending did of each damage that cost enough."""

    model_id: str
    dataset_id: str
    n_damages: int
    mendings: tuple[Mending, ...]


def prescribe(
    lake: Lake,
    model: str,
    dataset: str,
    *,
    grid: PrescriptionGrid | None = None,
    out: Path = Path("mended"),
    device: str = "auto",
    progress: Progress | None = None,
) -> Prescribed:
    """Damage a model stage by stage, and mend every stage of each damage that costs ten points.

    The views `prescription` and `recovered_share` have what came of it. Raises as `extract` and
    `mend` do.
    """
    from layerhouse.functions import EVERY, extract, mend

    damages = list((grid or PrescriptionGrid()).damages())
    healthy = extract(model, dataset, lake=lake, device=device)
    done: list[Mending] = []
    for number, damage in enumerate(damages):
        if progress is not None:
            progress(number, len(damages), damage)
        struck = extract(model, dataset, lake=lake, device=device, fault=damage)
        before, after = (
            _answered(lake, one.model_id, healthy.dataset_id) for one in (healthy, struck)
        )
        if before - after >= COSTLY:
            folder = out / struck.model_id / healthy.dataset_id
            done.append(
                mend(
                    *(model, dataset),
                    out=folder,
                    lake=lake,
                    stage=EVERY,
                    fault=damage,
                    device=device,
                )
            )
    return Prescribed(healthy.model_id, healthy.dataset_id, len(damages), tuple(done))


def _answered(lake: Lake, model_id: str, dataset_id: str) -> float:
    from warehouse.catalogue import connect

    with connect(lake) as wh:
        rows = wh.sql(
            "SELECT available_accuracy FROM stage_signal "
            "WHERE model_id = $1 AND dataset_id = $2 AND stage = 'answer'",
            [model_id, dataset_id],
        ).fetchall()
    return float(rows[0][0])
