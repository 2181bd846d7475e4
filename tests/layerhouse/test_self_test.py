"""The self-test: real trials on the shipped model, named rightly and stored once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from analysis.diagnosis.intervals import Resampling
from extract.datasets import resolve
from extract.datasets.folding import fold
from extract.faults.spec import parse_fault
from extract.running.trials import Bench, open_bench
from extract.sharing.job import ExtractRequest
from layerhouse.cli import main
from layerhouse.self_test import SelfTest, TrialGrid, self_test, trials_of
from warehouse.catalogue.refreshing import connect
from warehouse.errors import UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits
from warehouse.vocabulary import FAILURE_MODES

GRID = TrialGrid((0.6,), seeds=1, healthy=1, kinds=("swap", "head"), shifting=False, pairs=False)
LIMIT = 600
REQUEST = ExtractRequest("tiny-digits", "digits", limit=LIMIT)


@dataclass(frozen=True)
class Ran:
    lake: Lake
    done: SelfTest


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    lake = Lake.at(tmp_path_factory.mktemp("lake"))
    done = self_test(lake, REQUEST, grid=GRID, resampling=Resampling(500))
    return Ran(lake, done)


@pytest.fixture(scope="module")
def bench(tested: Ran) -> Bench:
    request = ExtractRequest(model="tiny-digits", dataset="digits", limit=100)
    return open_bench(tested.lake, request)


@pytest.mark.slow
def test_every_swap_and_the_head_are_named_and_the_unmodified_model_is_not(
    tested: Ran,
) -> None:
    with connect(tested.lake) as wh:
        rows = wh.sql("SELECT stage, verdict, destroying FROM fault_trial").fetchall()
    assert tested.done.n_run == len(rows) == 5
    named = {stage: verdict for stage, verdict, destroying in rows if destroying}
    assert named == FAILURE_MODES
    ((verdict, stage),) = [row[1::-1] for row in rows if not row[2]]
    assert stage is None
    assert verdict not in FAILURE_MODES.values()


@pytest.mark.slow
def test_a_swaps_loss_is_what_its_share_implies(tested: Ran) -> None:
    with connect(tested.lake) as wh:
        rows = wh.sql(
            "SELECT expected_loss, estimated_loss, lower, upper, answer_cost FROM fault_trial "
            "WHERE kind = 'swap'"
        ).fetchall()
    assert len(rows) == 3
    for expected, estimated, lower, upper, cost in rows:
        assert lower <= estimated <= upper
        assert expected == pytest.approx(estimated, abs=0.1)
        assert expected == pytest.approx(cost, abs=0.1)


@pytest.mark.slow
def test_folds_are_tested_on_what_the_model_did_not_see(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    resolve(lake, "digits")
    fold(lake, "digits", 5)
    done = self_test(lake, replace(REQUEST, limit=None), grid=GRID, resampling=Resampling(500))
    assert done.n_run == 5
    with connect(lake) as wh:
        rows = wh.sql(
            "SELECT stage, verdict, expected_loss, estimated_loss, trial_kind FROM fault_trial"
        ).fetchall()
    struck = [row for row in rows if row[4] == "destroying"]
    assert {stage: verdict for stage, verdict, *_ in struck} == FAILURE_MODES
    for _, _, expected, estimated, _ in struck:
        assert expected is None or expected == pytest.approx(estimated, abs=0.12)
    shifting = TrialGrid((0.6,), seeds=1, healthy=0, kinds=(), pairs=False)
    kinds = []
    for seed in (None, 0):  # an untrained network saw nothing that a fault could learn from
        bench = open_bench(lake, replace(REQUEST, limit=60, random_weights=seed))
        assert (len(bench.samples) < 30) == (seed is None)
        kinds.append({trial.faults[0].kind.name for trial in trials_of(bench, shifting)})
    assert kinds[0] - kinds[1] == {"erase"}


@pytest.mark.slow
def test_the_lake_holds_trials_and_nothing_else_of_them(tested: Ran) -> None:
    commits = list_commits(tested.lake, command="self-test")
    tables = {shard.table for commit in commits for shard in commit.shards}
    assert tables == {"fault_trial", "run"}
    assert sum("trial" in commit.covers for commit in commits) == 5
    with connect(tested.lake) as wh:
        assert wh.sql("SELECT count(*) FROM model").fetchall() == [(0,)]


@pytest.mark.slow
def test_only_trials_that_are_missing_are_run(tested: Ran) -> None:
    wider = TrialGrid((0.6,), seeds=1, healthy=1, kinds=("head",), shifting=False, pairs=False)
    again = self_test(tested.lake, REQUEST, grid=wider, resampling=Resampling(500))
    assert (again.n_trials, again.n_run) == (2, 0)


@pytest.mark.slow
def test_the_command_prints_both_matrices_and_the_bars(
    tested: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "tiny-digits", "--dataset", "digits", "--lake", str(tested.lake.root)]
    arguments += ["--self-test", "--quick", "--severities", "0.6", "--healthy", "1"]
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", *arguments, "--limit", str(LIMIT), "--resamples", "500"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("0 of 5 trials were run now")
    for words in ("Diagnosis: injected", "Mean-pooled curves alone", "swap@vision", "≥ 95%"):
        assert words in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--quick"], "--quick belongs to --self-test"),
        (["--self-test", "--severities", "0.3,high"], "takes numbers like 0.3,0.6,0.8"),
        (["--self-test", "--severities", "1.5"], "above 0 and at most 1"),
        (["--self-test", "--seeds", "0"], "at least one seed"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    names = ["--model", "tiny-digits", "--dataset", "digits", "--lake", str(tmp_path / "lake")]
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", *names, *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["swap@vision:0.5", "swap@connector:0.7,seed=2"])
def test_a_swap_that_is_not_run_shows_what_running_it_would(bench: Bench, spec: str) -> None:
    fault = parse_fault(spec)
    quick = bench.run([fault])
    slow = bench._record((fault,))  # the real injection, hook by hook
    assert quick.sample_ids == slow.sample_ids
    assert quick.vectors.keys() == slow.vectors.keys()
    for cell, values in slow.vectors.items():
        np.testing.assert_allclose(quick.vectors[cell], values, rtol=1e-3, atol=1e-4)
    assert quick.answers == slow.answers
    assert quick.answers != bench.healthy.answers


@pytest.mark.slow
def test_the_full_grid_strikes_every_stage_with_every_severity_and_seed(bench: Bench) -> None:
    trials = list(trials_of(bench, TrialGrid()))
    assert len(set(trials)) == len(trials)
    single = [t.faults[0] for t in trials if t.kind in ("destroying", "shifting")]
    assert {t.faults[0].kind.name for t in trials if t.kind == "destroying"} == {"swap", "head"}
    places = {(f.kind.name, f.stage, f.severity, f.seed) for f in single}
    severities, seeds = (0.3, 0.6, 0.8), (0, 1, 2)
    for kind, stage in [("swap", "vision"), ("swap", "connector"), ("swap", "llm")]:
        assert {(kind, stage, s, n) for s in severities for n in seeds} <= places
        assert {("erase", stage, s, 0) for s in severities} <= places
    assert {("head", "answer", s, n) for s in severities for n in seeds} <= places
    pairs = {tuple(f.stage for f in t.faults) for t in trials if t.kind == "pair"}
    assert len(pairs) == 6
    assert sum(t.kind == "healthy" for t in trials) == 20


def test_a_grid_without_severities_is_refused() -> None:
    with pytest.raises(UsageError, match="shares above 0"):
        TrialGrid(())
