"""Which trials a self-test makes: faults of every kind, at every stage, from mild to harsh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from extract.faults import (
    Fault,
    FaultKind,
    LearningFault,
    WeightFault,
    fault_kinds,
    kind_named,
    parse_fault,
)
from warehouse.errors import UsageError
from warehouse.vocabulary import LLM

if TYPE_CHECKING:
    from extract.running import Bench

TRIAL_VERSIONS = {"healthy": 5, "destroying": 5, "shifting": 5, "pair": 6}
"""By kind of trial, raised when its meaning changes, so that an old trial never stands for a new
one; in the views the newest of the same fault and seed counts.
"""


@dataclass(frozen=True)
class TrialGrid:
    """Which faults a self-test injects; see `trials_of` for what comes of it.

    `severities` are shares, of samples for swaps, of classes for the head; each is tried with every
    seed. Shifting faults have severities of their own and one seed; a pair strikes two stages with
    `pair_severity` each.
    """

    severities: tuple[float, ...] = (0.3, 0.6, 0.8)
    seeds: int = 3
    healthy: int = 20
    kinds: tuple[str, ...] = field(default_factory=lambda: tuple(_destroying_kinds()))
    shifting: bool = True
    pairs: bool = True
    pair_severity: float = 0.5

    def __post_init__(self) -> None:
        if not self.severities or not all(0 < s <= 1 for s in self.severities):
            raise UsageError("severities of a self-test are shares above 0 and at most 1")
        if self.seeds < 1 or self.healthy < 0:
            raise UsageError("a self-test needs at least one seed")

    @classmethod
    def quick(cls) -> TrialGrid:
        """Destroying faults at two severities, one seed: a first look."""
        return cls((0.3, 0.6), seeds=1, healthy=4, shifting=False, pairs=False)


@dataclass(frozen=True)
class Trial:
    """One trial: its faults (none for the unmodified model) and the seed they were drawn with."""

    faults: tuple[Fault, ...]
    seed: int

    @property
    def kind(self) -> str:
        if not self.faults:
            return "healthy"
        if len(self.faults) > 1:
            return "pair"
        return "destroying" if self.destroying else "shifting"

    @property
    def destroying(self) -> bool:
        """Whether every fault takes the class away, so that the stages it strikes are known."""
        return bool(self.faults) and all(fault.kind.destroying for fault in self.faults)

    @property
    def text(self) -> str | None:
        return "+".join(map(str, self.faults)) or None


def trials_of(bench: Bench, grid: TrialGrid) -> Iterator[Trial]:
    """All trials of a grid on one model; whatever stops them early, each seed's come together.

    Faults in the decoder strike behind its middle block. Severities that come to the same fault
    (the labels of two classes can only change places) are one trial. Faults that learn are left out
    where there is nothing to learn from: under folds, of a model that saw no sample.
    """
    llm = f"llm.{bench.llm_blocks[len(bench.llm_blocks) // 2]}"
    seen: set[Any] = set()
    for seed in range(grid.seeds):
        for fault in _destroying(grid, llm, seed):
            meaning = fault.kind.meaning(fault, bench.opened.phrases)
            if meaning not in seen:
                seen.add(meaning)
                yield Trial((fault,), seed)
        yield from (Trial((), sample) for sample in range(seed, grid.healthy, grid.seeds))
        if grid.pairs:
            yield from (Trial(pair, seed) for pair in _pairs(grid, llm, seed))
        if grid.shifting and seed == 0:
            can_learn = "train" in set(bench.taught["split"])
            yield from (
                Trial((fault,), seed)
                for fault in _shifting(llm)
                if can_learn or not isinstance(fault.kind, LearningFault)
            )


def _destroying_kinds() -> dict[str, FaultKind]:
    return {name: kind for name, kind in fault_kinds().items() if kind.destroying}


def _destroying(grid: TrialGrid, llm: str, seed: int) -> Iterator[Fault]:
    for severity, name in product(grid.severities, grid.kinds):
        kind = kind_named(name)
        yield from (_fault(kind, place, severity, seed) for place in _places(kind, llm))


def _pairs(grid: TrialGrid, llm: str, seed: int) -> Iterator[tuple[Fault, ...]]:
    """A destroying fault in each of two stages, every two stages once."""
    found: dict[str, Fault] = {}
    for kind in _destroying_kinds().values():
        for place in _places(kind, llm):
            fault = _fault(kind, place, grid.pair_severity, seed)
            found.setdefault(fault.stage, fault)
    return combinations(found.values(), 2)


def _shifting(llm: str) -> Iterator[Fault]:
    for kind in fault_kinds().values():
        if not kind.destroying and not isinstance(kind, WeightFault):
            severities = kind.trial_severities or (kind.severity.default,)
            for place, severity in product(_places(kind, llm), severities):
                yield _fault(kind, place, severity, 0)


def _places(kind: FaultKind, llm: str) -> list[str]:
    """Where the self-test puts a kind of fault; in the decoder behind the block `llm`."""
    stages = kind.trial_stages or kind.stages
    return [llm if stage == LLM and not kind.from_start else stage for stage in stages]


def _fault(kind: FaultKind, place: str, severity: float, seed: int) -> Fault:
    return replace(parse_fault(f"{kind.name}@{place}:{severity}"), seed=seed)
