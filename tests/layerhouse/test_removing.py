"""Taking something out on the command line and in Python, and what is told of it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import layerhouse
from layerhouse.cli import main
from tests.lakes import Signals, synthetic_lake
from tests.warehouse.full_lake import MODEL, full_lake
from warehouse.catalogue import connect, current, open_catalogue
from warehouse.errors import UsageError
from warehouse.lake.freeing import free
from warehouse.lake.lake import Lake
from warehouse.lake.standing import commit_names, list_commits
from warehouse.validation.checks import all_checks
from warehouse.validation.running import prepare

VARIANT = "alpha+fault:swap@vision:0.5"
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = tmp_path_factory.mktemp("removing") / "lake"
    return synthetic_lake(path, {"alpha": Signals(), VARIANT: Signals()}, n_samples=20)


@pytest.fixture
def lake(whole: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(whole.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


@pytest.fixture
def run(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the lake: its exit code, and all that it printed."""
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(lake.root))

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


@pytest.mark.slow
def test_a_dataset_is_tried_refused_removed_and_freed(lake: Lake, run: Run) -> None:
    before = commit_names(lake)
    code, said = run("datasets", "remove", "shapes", "--dry-run")
    assert code == 0
    assert "Would remove the dataset shapes: 1 run, " in said
    assert "Resting on it, to go only with --with-dependents: 5 runs, " in said
    assert all(commit.run_id in said for commit in list_commits(lake))
    code, said = run("datasets", "remove", "shapes", "--with-dependents", "--dry-run")
    assert code == 0
    assert "Resting on it, to go too: 5 runs, " in said
    code, said = run("datasets", "remove", "shapes")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("Error: 5 runs rest on the dataset shapes (")
    assert commit_names(lake) == before
    code, said = run("datasets", "remove", "shapes", "--with-dependents")
    assert code == 0
    assert "Removed the dataset shapes: 6 runs, " in said
    assert run("datasets", "remove", "shapes")[1].startswith("Nothing to do: the dataset shapes")
    assert "Removed or joined, never read: " in run("status")[1]
    code, said = run("status", "--free", "--dry-run")
    assert (code, "Would be deleted of what was removed or joined: " in said) == (0, True)
    shards = list(lake.root.rglob("part-*.parquet"))
    code, said = run("status", "--free")
    assert (code, "Deleted of what was removed or joined: " in said) == (0, True)
    assert "never read" not in said
    assert "Next: layerhouse demo" in said
    left = list(lake.root.rglob("part-*.parquet"))
    assert {path.parent.name for path in left} == {"run", "removed_run"}
    assert len(left) == 2 < len(shards)


@pytest.mark.slow
def test_runs_are_listed_as_long_as_they_are_there(run: Run) -> None:
    code, said = run("runs", "list")
    lines = said.splitlines()[2:]
    assert (code, len(lines)) == (0, 6)
    names = [line.split()[0] for line in lines]
    assert all("shapes" in line and "finished" in line for line in lines)
    assert sum(VARIANT in line for line in lines) == 2
    assert run("runs", "remove", names[-1])[0] == 0
    left = [line.split()[0] for line in run("runs", "list")[1].splitlines()[2:]]
    assert names[-1] not in left
    assert left[-1].startswith("remove-")


def test_an_empty_lake_has_no_runs(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty" / "commits").mkdir(parents=True)
    code, said = run("runs", "list", "--lake", str(tmp_path / "empty"))
    assert (code, "holds no runs" in said) == (0, True)


KILLED = """
import os, signal, sys
from layerhouse.cli import main
real, left = os.fsync, int(sys.argv[1])
def fsync(descriptor):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["runs", "models", "datasets"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_removal_that_is_killed_is_done_or_not_begun_and_may_be_done_again(
    lake: Lake, kind: str, n: int
) -> None:
    names = {"models": "alpha", "datasets": "shapes", "runs": list_commits(lake)[0].run_id}
    words = [kind, "remove", names[kind], "--with-dependents", "--lake", str(lake.root)]
    whole = _runs(lake)
    done = subprocess.run([sys.executable, "-c", KILLED, str(n), *words], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    after_kill = _runs(lake)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert after_kill in (whole, _runs(lake))
    assert _runs(lake) < whole


def _runs(lake: Lake) -> set[str]:
    """The runs that readers see, without removals."""
    with connect(lake) as warehouse:
        found = warehouse.sql("SELECT run_id FROM run WHERE command <> 'remove'").fetchall()
    return {run_id for (run_id,) in found}


def test_a_model_goes_and_its_variants_are_named(lake: Lake, run: Run) -> None:
    code, said = run("models", "remove", "alpha")
    assert (code, f"Stays: {VARIANT}, a model of its own" in said) == (0, True)
    assert {commit.model_id for commit in list_commits(lake)} == {None, VARIANT}


def test_a_run_goes(lake: Lake, run: Run) -> None:
    name = list_commits(lake, command="probe", model_id="alpha")[0].run_id
    code, said = run("runs", "remove", name)
    assert (code, f"Removed the run {name}: 1 run, " in said) == (0, True)
    assert list_commits(lake, command="probe", model_id="alpha") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("datasets", "remove", "shape"), "holds no dataset 'shape'; did you mean shapes?"),
        (("models", "remove", "alph"), "holds no model 'alph'; did you mean alpha"),
        (("runs", "remove", "nothing"), "holds no run 'nothing'; known are "),
        (("status", "--dry-run"), "--dry-run says what --free would delete; add --free"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    code, told = run(*arguments)
    assert (code, told.count("\n")) == (2, 1)
    assert said in told


def test_without_a_lake_nothing_is_made(tmp_path: Path, run: Run) -> None:
    code, said = run("datasets", "remove", "shapes", "--lake", str(tmp_path / "nowhere"))
    assert (code, "there is no lake at" in said) == (2, True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_marts_publication_and_report_are_made_without_what_was_removed(
    lake: Lake, tmp_path: Path
) -> None:
    layerhouse.publish(tmp_path / "published", lake=lake)
    removal = layerhouse.models.remove("alpha", lake=lake)
    assert len(removal.runs) == 2
    written = layerhouse.publish(tmp_path / "published", lake=lake)
    assert tmp_path / "published" / "mart_leaderboard.parquet" in written
    with layerhouse.connect(lake) as wh:
        for mart in ("mart_leaderboard", "mart_signal_flow", "mart_sample_outcomes"):
            held = wh.sql(f"SELECT DISTINCT model_id FROM {mart}").fetchall()
            assert held == [(VARIANT,)], mart
    page = layerhouse.report(out=tmp_path / "report.html", lake=lake).read_text(encoding="utf-8")
    assert VARIANT in page.replace("&#43;", "+")
    assert re.search(r">alpha<wbr>\+", page)
    assert not re.search(r">alpha</", page)


@pytest.mark.slow
def test_a_lake_with_a_removal_passes_every_check(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", n_samples=24)
    layerhouse.models.remove(MODEL, with_dependents=True, lake=lake)
    free(lake)
    assert layerhouse.validate(lake=lake).failures == []


def _still_there(lake: Lake) -> list[tuple[object, ...]]:
    """What `validate` says of removed samples, without its other checks."""
    (check,) = [each for each in all_checks() if each.name == "nothing_left"]
    with open_catalogue(current(lake)) as con:
        prepare(con, lake)
        return con.execute(check.sql).fetchall()


@pytest.mark.slow
def test_what_a_removal_left_in_files_fails_validation_until_it_is_freed(run: Run) -> None:
    asked = ("datasets", "remove", "shapes", "--sample", "image-00000", "--with-dependents")
    assert run(*asked)[0] == 0
    code, said = run("validate")
    assert (code, "removed_sample.nothing_left" in said) == (1, True)
    assert run("status", "--free")[0] == 0
    assert run("validate")[0] == 0


def test_a_patient_is_tried_refused_removed_and_freed(lake: Lake, run: Run) -> None:
    with connect(lake) as wh:
        (sample, group), *_ = wh.sql(
            "SELECT sample_id, group_id FROM sample ORDER BY ALL"
        ).fetchall()
        query = "SELECT count(*) FROM sample WHERE group_id = $1"
        ((n,),) = wh.sql(query, [group]).fetchall()
    asked = ("datasets", "remove", "shapes", "--group", group)
    code, said = run(*asked, "--dry-run")
    assert code == 0
    assert f"Would remove {n} samples of shapes: {sample}" in said
    assert "To be run again: layerhouse probe --model alpha --dataset shapes" in said
    code, said = run(*asked)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("Error: 3 runs were made over all samples of shapes (")
    code, said = run(*asked, "--with-dependents")
    assert code == 0
    assert f"Removed {n} samples of shapes (remove-" in said
    assert "To be run again: layerhouse baseline --dataset shapes --architecture " in said
    assert run(*asked)[1].startswith("Nothing to do: they were removed from shapes before (remove-")
    assert _still_there(lake)
    assert run("status", "--free")[0] == 0
    assert not _still_there(lake)
    with connect(lake) as wh:
        assert wh.sql(query, [group]).fetchall() == [(0,)]
        assert wh.sql("SELECT count(DISTINCT model_id) FROM answer").fetchall() == [(2,)]
    code, said = run("datasets", "remove", "shapes", "--sample", "nobody")
    assert (code, "Error: shapes has no sample 'nobody'; known are " in said) == (2, True)
    with pytest.raises(UsageError, match="no sample of shapes is named"):
        layerhouse.datasets.remove("shapes", sample=[], lake=lake)
