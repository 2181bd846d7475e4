"""The self-test of the diagnosis: known faults in one model, and what the diagnosis says of them.

`extract` runs the faulty models, `analysis` judges what they show by the views and the bootstrap
behind `layerhouse diagnose`, and every trial is one row of `fault_trial`, committed as soon as it
is done. Nothing else of a trial is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.faults.fault import Fault, FaultKind
from extract.faults.registry import fault_kinds, kind_named
from extract.faults.spec import parse_fault
from warehouse.catalogue.refreshing import connect
from warehouse.errors import UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.progress import Progress
from warehouse.vocabulary import MARGIN, STAGES

if TYPE_CHECKING:
    from analysis.self_test.judge import Judge, Judgement
    from extract.running.variants import Bench

COMMAND = "self-test"
TRIAL_VERSIONS = {"healthy": 5, "destroying": 5, "shifting": 5, "pair": 6}
"""By kind of trial, raised when its meaning changes, so that an old trial never stands for a new
one; in the views the newest of the same fault and seed counts.
"""

SUBSET = 0.8
"""Share of the test groups, and of those of train and val, that a healthy trial is drawn from."""


@dataclass(frozen=True)
class Grid:
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
    def quick(cls) -> Grid:
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


@dataclass(frozen=True)
class SelfTest:
    """What a self-test did: how many trials its grid has, and how many were run just now."""

    model_id: str
    dataset_id: str
    run_id: str
    n_trials: int
    n_run: int
    seconds: float


def self_test(
    lake: Lake,
    model: str,
    dataset: str,
    *,
    grid: Grid | None = None,
    adapter: Path | None = None,
    n_resamples: int = 2000,
    margin: float = MARGIN,
    seed: int = 0,
    device: str = "auto",
    batch_size: str | int = "auto",
    limit: int | None = None,
    report: Progress | None = None,
) -> SelfTest:
    """Inject a grid of faults into a model and store what the diagnosis says of each.

    Trials that the lake holds already, from any earlier self-test of the same model, dataset and
    options, are not run again. Raises UsageError for unknown names and impossible grids,
    LayerhouseError for a model that cannot be run.
    """
    from analysis.diagnosis.intervals import Resampling
    from extract.running.background import leaving_a_core
    from extract.running.variants import open_bench
    from extract.sharing.job import ExtractRequest

    started = time.monotonic()
    grid = grid or Grid()
    options = Resampling(n_resamples, margin, seed)
    request = ExtractRequest(
        model=model,
        dataset=dataset,
        adapter=adapter,
        device=device,
        batch_size=batch_size,
        limit=limit,
    )
    ends = [parse_fault(f"swap@{stage}") for stage in ("vision", "connector")]
    bench = open_bench(lake, request, ends)
    job = bench.job
    trials = list(trials_of(bench, grid))
    config = {
        "identity": job.identity,
        "options": asdict(options),
        "limit": limit,
    }
    known = _known(lake)
    ids = {trial: _trial_id(job.model_id, job.dataset_id, config, trial) for trial in trials}
    todo = [trial for trial in trials if ids[trial] not in known]
    spec = RunSpec(
        COMMAND,
        job.model_id,
        job.dataset_id,
        {**config, "versions": TRIAL_VERSIONS, "grid": asdict(grid)},
    )
    with RunWriter(lake, spec) as writer, leaving_a_core(job.device):
        if todo:
            judge = _judge(lake, bench, options)
            for done, trial in enumerate(todo):
                if report is not None:
                    report(done, len(todo), trial.text or f"unmodified, sample {trial.seed}")
                row = _run(bench, judge, trial) | {"trial_id": ids[trial]}
                writer.commit({"fault_trial": [row]}, covers={"trial": ids[trial]})
        if writer.committed:
            writer.finish()
    return SelfTest(
        job.model_id,
        job.dataset_id,
        spec.run_id,
        len(trials),
        len(todo),
        time.monotonic() - started,
    )


def trials_of(bench: Bench, grid: Grid) -> Iterator[Trial]:
    """All trials of a grid on one model; whatever stops them early, each seed's come together.

    Faults in the decoder strike behind its middle block. Severities that come to the same fault (a
    head of two classes can only be exchanged whole) are one trial.
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
            yield from (Trial((fault,), seed) for fault in _shifting(llm))


def _destroying_kinds() -> dict[str, FaultKind]:
    return {name: kind for name, kind in fault_kinds().items() if kind.destroying}


def _destroying(grid: Grid, llm: str, seed: int) -> Iterator[Fault]:
    for severity, name in product(grid.severities, grid.kinds):
        kind = kind_named(name)
        yield from (_fault(kind, place, severity, seed) for place in _places(kind, llm))


def _pairs(grid: Grid, llm: str, seed: int) -> Iterator[tuple[Fault, ...]]:
    """A destroying fault in each of two stages, every two stages once."""
    found: dict[str, Fault] = {}
    for kind in _destroying_kinds().values():
        for place in _places(kind, llm):
            fault = _fault(kind, place, grid.pair_severity, seed)
            found.setdefault(fault.stage, fault)
    return combinations(found.values(), 2)


def _shifting(llm: str) -> Iterator[Fault]:
    for kind in fault_kinds().values():
        if not kind.destroying:
            severities = kind.trial_severities or (kind.severity.default,)
            for place, severity in product(_places(kind, llm), severities):
                yield _fault(kind, place, severity, 0)


def _places(kind: FaultKind, llm: str) -> list[str]:
    """Where the self-test puts a kind of fault; in the decoder behind the block `llm`."""
    stages = kind.trial_stages or kind.stages
    return [llm if stage == "llm" and not kind.from_start else stage for stage in stages]


def _fault(kind: FaultKind, place: str, severity: float, seed: int) -> Fault:
    return replace(parse_fault(f"{kind.name}@{place}:{severity:g}"), seed=seed)


def _trial_id(model_id: str, dataset_id: str, config: dict[str, Any], trial: Trial) -> str:
    import json

    meant = {**config, "version": TRIAL_VERSIONS[trial.kind]}
    key = json.dumps([model_id, dataset_id, meant, trial.text, trial.seed], sort_keys=True)
    return blake2b(key.encode(), digest_size=12).hexdigest()


def _known(lake: Lake) -> set[str]:
    with connect(lake) as wh:
        return {row[0] for row in wh.sql("SELECT trial_id FROM fault_trial").fetchall()}


def _judge(lake: Lake, bench: Bench, options: Any) -> Judge:
    import polars as pl

    from analysis.self_test.judge import Judge

    with connect(lake) as wh:
        names = [bench.job.dataset_id]
        dataset = {
            table: wh.sql(f"FROM {table} WHERE dataset_id = $1", names).pl()
            for table in ("dataset", "class")
        }
    dataset["sample"] = bench.samples.with_columns(pl.lit(names[0]).alias("dataset_id"))
    return Judge(bench.rows(), dataset, bench.healthy, options)


def _run(bench: Bench, judge: Judge, trial: Trial) -> dict[str, Any]:
    started = time.monotonic()
    if trial.faults:
        found = judge(bench.run(trial.faults))
        cost = judge.answered - found.answered
    else:
        found, cost = judge.subset(trial.seed, SUBSET), 0.0
    return {
        "model_id": bench.job.model_id,
        "dataset_id": bench.job.dataset_id,
        "fault": trial.text,
        "seed": trial.seed,
        "destroying": trial.destroying,
        "answer_cost": cost,
        "verdict": found.verdict,
        "mean_pooled_verdict": found.mean_pooled,
        "trial_kind": trial.kind,
        "stages": _in_order(fault.stage for fault in trial.faults),
        "present_stages": _in_order(m.stage for m in found.finding.modes if m.is_present),
        "answer_accuracy": found.answered,
        "total_loss": found.finding.lost,
        **_single(bench, judge, trial, found),
        **_costs_alone(bench, judge, trial),
        "seconds": time.monotonic() - started,
    }


def _single(bench: Bench, judge: Judge, trial: Trial, found: Judgement) -> dict[str, Any]:
    """What only a trial of one fault has: kind, stage and severity, and the loss found there."""
    names = ("kind", "stage", "severity", "expected_loss", "estimated_loss", "lower", "upper")
    if len(trial.faults) != 1:
        return dict.fromkeys(names)
    (fault,) = trial.faults
    loss = found.loss(fault.stage)
    expected = None
    if fault.kind.has_closed_form:
        expected = judge.closed_form.loss(fault.stage, fault.severity, bench.depth_of(fault))
    struck = (fault.kind.name, fault.stage, fault.severity)
    values = (*struck, expected, loss.loss, loss.lower, loss.upper)
    return dict(zip(names, values, strict=True))


def _costs_alone(bench: Bench, judge: Judge, trial: Trial) -> dict[str, float | None]:
    """What each fault of a pair costs without the other; the one upstream comes first."""
    costs: list[float | None] = [None, None]
    if trial.kind == "pair":
        faults = sorted(trial.faults, key=lambda fault: STAGES.index(fault.stage))
        costs = [judge.answered - judge.accuracy(bench.replies(fault)) for fault in faults]
    return dict(zip(("first_cost", "second_cost"), costs, strict=True))


def _in_order(stages: Iterable[str]) -> str | None:
    found = set(stages)
    return "+".join(stage for stage in STAGES if stage in found) or None
