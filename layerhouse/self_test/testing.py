"""The self-test of the diagnosis: known faults in one model, and what the diagnosis says of them.

`extract` runs the faulty models, `analysis` judges what they show by the views and the bootstrap
behind `layerhouse diagnose`, and every trial is one row of `fault_trial`, committed as soon as it
is done. Nothing else of a trial is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from layerhouse.self_test.trials import TRIAL_VERSIONS, Trial, TrialGrid, trials_of
from warehouse.catalogue import dataset, open_tables
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.progress import Progress
from warehouse.vocabulary import ACCURACY, STAGES

if TYPE_CHECKING:
    from analysis.diagnosis import Resampling
    from analysis.self_test import Judge, Judgement
    from extract.running import Bench
    from extract.sharing import ExtractRequest, Job

COMMAND = "self-test"
SUBSET = 0.8
"""Share of the test groups, and of those of train and val, that a healthy trial is drawn from."""


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
    request: ExtractRequest,
    *,
    grid: TrialGrid | None = None,
    resampling: Resampling | None = None,
    progress: Progress | None = None,
) -> SelfTest:
    """Inject a grid of faults into a model and store what the diagnosis says of each.

    Of the request model, adapter, dataset, limit and where it runs count. Trials that the lake
    holds already, from any earlier self-test of the same model, dataset and options, are not run
    again. Raises UsageError for unknown names and impossible grids, LayerhouseError for a model
    that cannot be run. Under folds, every trial is judged by the first repetition of theirs.
    """
    from analysis.diagnosis import Resampling
    from extract.running import leaving_a_core, open_bench

    started = time.monotonic()
    grid, resampling = grid or TrialGrid(), resampling or Resampling()
    bench = open_bench(lake, request)
    job = bench.job
    asked = {"identity": job.identity, "options": asdict(resampling)}
    config: dict[str, Any] = {**asked, "limit": request.limit}
    with open_tables(lake) as wh:
        info = dataset(wh, job.dataset_id)
        known = {row[0] for row in wh.sql("SELECT trial_id FROM fault_trial").fetchall()}
    if info.score != ACCURACY:  # for which older versions fitted all probes
        config["fitted_for"] = info.score
    ids = {trial: _trial_id(job, config, trial) for trial in trials_of(bench, grid)}
    todo = {trial: name for trial, name in ids.items() if name not in known}
    whole = {**config, "versions": TRIAL_VERSIONS, "grid": asdict(grid)}
    spec = RunSpec(COMMAND, job.model_id, job.dataset_id, whole)
    with RunWriter(lake, spec, job.looked) as writer, leaving_a_core(job.device):
        if todo:
            judge = _judge(lake, bench, resampling)
            for done, (trial, name) in enumerate(todo.items()):
                if progress is not None:
                    progress(done, len(todo), trial.text or f"unmodified, sample {trial.seed}")
                row = _run(bench, judge, trial) | {"trial_id": name}
                writer.commit({"fault_trial": [row]}, covers={"trial": name})
        if writer.committed:
            writer.finish()
    seconds = time.monotonic() - started
    return SelfTest(job.model_id, job.dataset_id, spec.run_id, len(ids), len(todo), seconds)


def _trial_id(job: Job, config: dict[str, Any], trial: Trial) -> str:
    meant = {**config, "version": TRIAL_VERSIONS[trial.kind]}
    key = json.dumps([job.model_id, job.dataset_id, meant, trial.text, trial.seed], sort_keys=True)
    return blake2b(key.encode(), digest_size=12).hexdigest()


def _judge(lake: Lake, bench: Bench, resampling: Resampling) -> Judge:
    import polars as pl

    from analysis.self_test import Judge

    with open_tables(lake) as wh:
        names = [bench.job.dataset_id]
        dataset = {
            table: wh.sql(f"FROM {table} WHERE dataset_id = $1", names).pl()
            for table in ("dataset", "class", "sample_fold")
        }
    folds = dataset["sample_fold"].filter(pl.col("repetition") == 0)
    dataset["sample_fold"] = folds.filter(pl.col("sample_id").is_in(bench.job.sample_ids))
    dataset["sample"] = bench.samples.with_columns(pl.lit(names[0]).alias("dataset_id"))
    return Judge(bench.rows(), dataset, bench.healthy, resampling)


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
        "score": judge.score,
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
    if len(trial.faults) == len(costs):
        faults = sorted(trial.faults, key=lambda fault: STAGES.index(fault.stage))
        costs = [judge.answered - judge.accuracy(bench.replies(fault)) for fault in faults]
    return dict(zip(("first_cost", "second_cost"), costs, strict=True))


def _in_order(stages: Iterable[str]) -> str | None:
    found = set(stages)
    return "+".join(stage for stage in STAGES if stage in found) or None
