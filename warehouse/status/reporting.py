"""What is in a lake, what is incomplete, and what to run next."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb

from warehouse.catalogue import Catalogue, Warehouse, connect, unbuilt_said
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import (
    FREED,
    Damaged,
    Lake,
    Leftover,
    damaged_shards,
    joinable,
    leftovers,
    take_stock,
    tells_nothing_seen,
)
from warehouse.schema import SQL_ROOT
from warehouse.status.commands import again, baseline_command, extract_command, floor_command
from warehouse.variants import BASE

START = "layerhouse demo"


@dataclass(frozen=True)
class Extent:
    """How much of a module is extracted, every cell (one readout of one locus) on so many samples.

    `n_unprobed` counts the cells that no probe on true labels has read.
    """

    module: str
    n_loci_extracted: int
    n_loci: int
    readouts: tuple[str, ...]
    n_samples: int
    n_unprobed: int


@dataclass(frozen=True)
class PairStatus:
    """One model on one dataset of `n_samples`.

    `answers` maps a method to the samples it answered, `n_tied` of them by likelihood with several
    classes at its highest; `probes` a kind to its probes on true labels; `diagnosis` is none, fresh
    or stale (older than the probes, answers or baselines); `next_command` is None where nothing is
    left to do, `floor_command` where what an untrained network already gives is known or where that
    need not be known yet. `is_silent` tells that all samples are scored, by folds, and nobody noted
    which of them the model saw in training.
    """

    model_id: str
    dataset_id: str
    n_samples: int
    extents: tuple[Extent, ...]
    answers: dict[str, int]
    n_tied: int
    probes: dict[str, int]
    baselines: tuple[str, ...]
    diagnosis: str
    verdict: str | None
    next_command: str | None
    floor_command: str | None = None
    is_silent: bool = False


@dataclass(frozen=True)
class DatasetStatus:
    """A registered dataset, the architectures of its baselines, and whether folds are scored."""

    dataset_id: str
    title: str
    n_samples: int
    n_classes: int
    baselines: tuple[str, ...]
    by_folds: bool


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that was begun and not finished; `next_command` goes on from its last commit."""

    run_id: str
    command: str
    model_id: str | None
    dataset_id: str | None
    started_at: datetime
    n_commits: int
    last_commit_at: datetime | None
    next_command: str


@dataclass(frozen=True)
class StatusReport:
    """The state of a lake: commits, shards and bytes that readers see.

    `removed` are the files that removals and compactions left for `free`, `joinable` the records
    that `compact` would spare; `problem` says why the catalogue could not be read, if it could not.
    """

    lake: Lake
    n_commits: int
    n_shards: int
    n_bytes: int
    datasets: list[DatasetStatus]
    pairs: list[PairStatus]
    unfinished: list[UnfinishedRun]
    leftovers: list[Leftover]
    removed: list[Leftover]
    joinable: int
    damaged: list[Damaged]
    problem: str | None
    next_command: str


def status(lake: Lake, verify: bool = False) -> StatusReport:
    """Look a lake over; with `verify` every committed shard is read and its checksum compared.

    Raises UsageError where there is no lake. A lake whose catalogue cannot be built, or is one from
    a stranger with whatever rows in it, is reported, not raised: this is the command to find out
    why.
    """
    lake.require()
    stock = take_stock(lake)
    shards, left = stock.shards, leftovers(lake, stock)
    datasets: list[DatasetStatus] = []
    pairs: list[PairStatus] = []
    unfinished: list[UnfinishedRun] = []
    problem = None
    try:
        with connect(lake) as wh:
            problem = "; ".join(unbuilt_said(*each) for each in wh.unbuilt()) or None
            datasets, unfinished = _datasets(wh), _unfinished(wh)
            pairs = _pairs(wh, datasets, unfinished)
    except UsageError:
        raise
    except LayerhouseError as error:
        problem = problem or str(error)
    except (duckdb.Error, LookupError, TypeError, ValueError, AttributeError) as error:
        said = str(error).strip().partition("\n")[0]
        problem = (
            f"{lake.catalogue} does not hold what a catalogue holds ({type(error).__name__}: "
            f"{said}); delete it, and it is rebuilt from the shards"
        )
    return StatusReport(
        lake=lake,
        n_commits=len(stock.commits),
        n_shards=len(shards),
        n_bytes=sum(shard.bytes for shard in shards),
        datasets=datasets,
        pairs=pairs,
        unfinished=unfinished,
        leftovers=[each for each in left if each.kind not in FREED],
        removed=[each for each in left if each.kind in FREED],
        joinable=joinable(stock.commits),
        damaged=[*stock.unreadable, *damaged_shards(lake, shards, verify=verify)],
        problem=problem,
        next_command=_next(datasets, pairs, unfinished),
    )


def _rows(wh: Warehouse, name: str) -> list[dict[str, Any]]:
    """The rows of sql/status/`name`.sql."""
    query = (SQL_ROOT / "status" / f"{name}.sql").read_text(encoding="utf-8")
    relation = Catalogue.sql(wh, query)  # which reads no vectors: no shard need be verified
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _datasets(wh: Warehouse) -> list[DatasetStatus]:
    rows = _rows(wh, "dataset")
    return [DatasetStatus(**row | {"baselines": tuple(row["baselines"])}) for row in rows]


def _unfinished(wh: Warehouse) -> list[UnfinishedRun]:
    return [
        UnfinishedRun(
            run_id=row["run_id"],
            command=row["command"],
            model_id=row["model_id"],
            dataset_id=row["dataset_id"],
            started_at=row["started_at"],
            n_commits=row["n_commits"] or 0,
            last_commit_at=row["last_commit_at"],
            next_command=again(row),
        )
        for row in _rows(wh, "unfinished_run")
    ]


def _pairs(
    wh: Warehouse, datasets: list[DatasetStatus], unfinished: list[UnfinishedRun]
) -> list[PairStatus]:
    """Every (model, dataset) that has activations, answers, probes or a verdict."""
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: defaultdict(list))
    for part in ("extent", "answer_count", "probe_count", "diagnosis"):
        for row in _rows(wh, part):
            found[row.pop("model_id"), row.pop("dataset_id")][part].append(row)
    models = {row["model_id"]: row for row in _rows(wh, "model")}
    by_dataset = {dataset.dataset_id: dataset for dataset in datasets}
    waiting: dict[Any, str] = {}
    for run in unfinished:  # the newest first, and that is what a pair goes on with
        waiting.setdefault((run.model_id, run.dataset_id), run.next_command)
    untrained = {
        (models[model_id]["model_name"], dataset_id)
        for model_id, dataset_id in found
        if str(models.get(model_id, {}).get("variant")).startswith("random:")
    }
    pairs = [
        _pair(key, found[key], models.get(key[0], {}), by_dataset.get(key[1]), waiting.get(key))
        for key in sorted(found)
    ]
    folded = {dataset.dataset_id for dataset in datasets if dataset.by_folds}
    silent = {key for key in tells_nothing_seen(wh.lake) if key[1] in folded} if folded else set()
    pairs = [
        _silent(pair, models.get(pair.model_id, {}))
        if (pair.model_id, pair.dataset_id) in silent
        else pair
        for pair in pairs
    ]
    return [_with_floor(pair, models.get(pair.model_id, {}), untrained) for pair in pairs]


def _silent(pair: PairStatus, model: Mapping[str, Any]) -> PairStatus:
    """The same extraction once more notes what the model saw, and runs nothing again."""
    command = extract_command(model, pair.dataset_id)
    return replace(pair, is_silent=True, next_command=command)


def _with_floor(
    pair: PairStatus, model: Mapping[str, Any], untrained: set[tuple[str, str]]
) -> PairStatus:
    """Only where all else is done: of a model as it is that has no untrained twin in the lake."""
    is_due = pair.next_command is None and pair.extents and model.get("variant") == BASE
    is_due = is_due and not model.get("is_brought", False)
    if not is_due or (model["model_name"], pair.dataset_id) in untrained:
        return pair
    return replace(pair, floor_command=floor_command(model, pair.dataset_id))


def _pair(
    key: tuple[str, str],
    parts: Mapping[str, list[dict[str, Any]]],
    model: Mapping[str, Any],
    dataset: DatasetStatus | None,
    waiting: str | None,
) -> PairStatus:
    verdict = parts["diagnosis"][0] if parts["diagnosis"] else {}
    pair = PairStatus(
        model_id=key[0],
        dataset_id=key[1],
        n_samples=dataset.n_samples if dataset else 0,
        extents=tuple(
            Extent(**{**row, "readouts": tuple(row["readouts"])}) for row in parts["extent"]
        ),
        answers={row["method"]: row["n_samples"] for row in parts["answer_count"]},
        n_tied=sum(row["n_tied"] for row in parts["answer_count"]),
        probes={row["kind"]: row["n_probes"] for row in parts["probe_count"]},
        baselines=dataset.baselines if dataset else (),
        diagnosis=verdict.get("diagnosis", "none"),
        verdict=verdict.get("verdict"),
        next_command=None,
    )
    is_labelled = dataset is None or dataset.n_classes > 0
    return replace(pair, next_command=waiting or _missing(pair, model, is_labelled))


def _missing(pair: PairStatus, model: Mapping[str, Any], is_labelled: bool) -> str | None:
    """The command for the first thing, in the order of the work, that a pair lacks.

    Without labels there is nothing to do but the extraction, and nothing at all where only answers
    are known, which were brought from elsewhere.
    """
    if not model.get("is_described", True):
        return None
    is_brought = model.get("is_brought", False)
    if not is_labelled:
        return None if pair.extents or is_brought else extract_command(model, pair.dataset_id)
    names = f"--model {shlex.quote(pair.model_id)} --dataset {shlex.quote(pair.dataset_id)}"
    if not is_brought and not (pair.extents and pair.answers):
        return extract_command(model, pair.dataset_id)
    if any(extent.n_unprobed for extent in pair.extents):
        return f"layerhouse probe {names}"
    if not pair.answers:
        return f"layerhouse answers import FILE {names}"
    if not pair.baselines:
        return baseline_command(pair.dataset_id)
    if pair.diagnosis != "fresh":
        return f"layerhouse diagnose {names}"
    return None


def _next(
    datasets: list[DatasetStatus], pairs: list[PairStatus], unfinished: list[UnfinishedRun]
) -> str:
    """The one command that brings the lake furthest: the run begun last, then what is missing."""
    waiting = [run.next_command for run in unfinished]
    waiting += [pair.next_command for pair in pairs if pair.next_command is not None]
    if waiting:
        return waiting[0]
    if pairs:
        return "layerhouse report --out report.html"
    if datasets:
        return extract_command({"model_name": "tiny-digits"}, datasets[0].dataset_id)
    return START
