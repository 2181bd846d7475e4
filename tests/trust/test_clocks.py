"""No clock decides: what was committed later counts, whatever the machines' clocks say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analysis.comparison.comparing import compare
from analysis.diagnosis.diagnosing import diagnose
from layerhouse.cli import main
from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import (
    UNSAID,
    add_extraction,
    answer_row,
    extract_spec,
    rewrite,
    rows,
    small_lake,
)
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake import drafting
from warehouse.lake.history import find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.repairing import repair
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits
from warehouse.publishing.publishing import publish

NOON = datetime(2026, 3, 1, 12)
STEPS = {"an hour": timedelta(hours=1), "a day": timedelta(days=1)}

Turn = Callable[[timedelta], None]


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """Gives a clock that is set back by so much whenever it is read."""

    def start(step: timedelta) -> None:
        now = NOON

        def tick() -> datetime:
            nonlocal now
            now -= step
            return now

        monkeypatch.setattr(drafting, "_now", tick)

    return start


def _title(lake: Lake, title: str, **config: Any) -> None:
    row = {"dataset_id": "digits", "title": title, "n_samples": 4, "n_classes": 2, **UNSAID}
    with RunWriter(lake, RunSpec("datasets", None, "digits", {"t": title, **config})) as writer:
        writer.commit({"dataset": [row]})
        writer.finish()


def _titles(lake: Lake) -> list[str | None]:
    """What runs wrote, in the order of their last commits."""
    return [c.run["config"].get("t") for c in list_commits(lake) if c.is_finish]


def _shown(lake: Lake) -> str:
    ((_, title, *_),) = rows(lake, "dataset")
    return str(title)


def _read(lake: Lake, query: str) -> list[Any]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_last_commit_counts_and_runs_end_after_they_began(
    tmp_path: Path, turn: Turn, step: timedelta
) -> None:
    turn(step)
    lake = small_lake(tmp_path / "lake")
    titles = ["First", "Second", "Third"]
    for title in titles:
        _title(lake, title)
    assert _titles(lake)[-3:] == titles
    assert _shown(lake) == "Third"
    found = find_runs(lake)
    assert all(row["started_at"] < row["finished_at"] for row in found)
    begun = [row["started_at"] for row in found]
    assert begun == sorted(set(begun)), "what SQL orders runs by"


def test_machines_whose_clocks_differ_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = small_lake(tmp_path / "lake")
    titles = [f"Title {number}" for number in range(6)]
    for number, title in enumerate(titles):
        now = NOON + timedelta(days=365 * (-1) ** number)
        monkeypatch.setattr(drafting, "_now", lambda now=now: now)
        _title(lake, title)
    assert [each for each in _titles(lake) if each] == titles
    assert _shown(lake) == titles[-1]


def test_a_lake_whose_commits_went_by_the_clock_keeps_their_order_and_goes_on_after_them(
    tmp_path: Path, turn: Turn
) -> None:
    """As earlier versions wrote them: their times say which came first."""
    lake = small_lake(tmp_path / "lake")
    for number, title in enumerate(["Late", "Early", "Later"]):
        _title(lake, title)
        commits = [c for c in list_commits(lake) if c.run["config"].get("t") == title]
        for commit in commits:
            at = NOON + timedelta(days=[2, 1, 3][number], seconds=commit.n)
            rewrite(lake.commits_dir / f"{commit.commit_id}.json", committed_at=at.isoformat())
    assert [each for each in _titles(lake) if each] == ["Early", "Late", "Later"]
    turn(timedelta(days=1))
    _title(lake, "Now")
    assert _shown(lake) == "Now"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    models = {"alpha": Signals(), "alpha+adapter:x": Signals.losing(llm=0.3)}
    return synthetic_lake(tmp_path_factory.mktemp("clocks") / "lake", models, n_samples=80)


def _analysed(lake: Lake) -> Any:
    """Runs of several options, the first ones in the end again; the intervals that count."""
    for margin in (0.02, 0.5, 0.02):
        diagnose(lake, "alpha+adapter:x", "shapes", n_resamples=100, margin=margin)
    for n in (100, 200, 100):
        compare(lake, "alpha+adapter:x", "alpha", "shapes", n_resamples=n)
    _analysed_again = diagnose(lake, "alpha+adapter:x", "shapes", n_resamples=100, margin=0.02)
    assert not _analysed_again.added
    return [
        _read(lake, f"SELECT COLUMNS(lambda c: c <> 'run_id') FROM {name} ORDER BY ALL")
        for name in ("stage_interval", "health_interval", "pair_interval", "failure_mode")
    ] + [_read(lake, "SELECT DISTINCT margin FROM stage_interval")]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_newest_diagnosis_and_comparison_count(
    pair: Lake, tmp_path: Path, turn: Turn, step: timedelta
) -> None:
    lakes = [Lake.at(tmp_path / name) for name in ("forward", "back")]
    for lake in lakes:
        shutil.copytree(pair.root, lake.root)
    forward = _analysed(lakes[0])
    assert forward[-1] == [(0.02,)]
    turn(step)
    assert _analysed(lakes[1]) == forward


@pytest.mark.slow
def test_a_record_that_was_done_again_by_a_late_clock_is_seen(tmp_path: Path) -> None:
    """Its file is older than the catalogue that took in the one before."""
    lake = small_lake(tmp_path / "lake")
    assert _read(lake, "SELECT count(*) FROM answer") == [(4,)]
    last = list_commits(lake, command="extract")[-1]
    record = lake.commits_dir / f"{last.commit_id}.json"
    record.unlink()
    with RunWriter(lake, extract_spec()) as writer:
        again = writer.commit({"answer": [answer_row("s9")]})
    assert again.commit_id == last.commit_id
    os.utime(record, ns=(1, 1))
    assert _read(lake, "SELECT count(*) FROM answer WHERE sample_id = 's9'") == [(1,)]


@pytest.mark.parametrize("at", ["9000-12-31T23:59:59.999999", "9000-12-31T00:00:00"])
@pytest.mark.parametrize("which", [0, -1])
def test_a_record_after_which_no_time_is_left_is_named_and_set_aside(
    tmp_path: Path, at: str, which: int
) -> None:
    lake = small_lake(tmp_path / "lake")
    before = rows(lake, "answer")
    record = list_commits(lake, command="extract")[which]
    rewrite(lake.commits_dir / f"{record.commit_id}.json", committed_at=at)
    with pytest.raises(LayerhouseError, match=rf"{record.commit_id}\.json says .*9000.* --repair"):
        _title(lake, "Now")
    (taken,) = repair(lake)
    assert taken.commit_id == record.commit_id
    add_extraction(lake)
    _title(lake, "Now")
    assert _shown(lake) == "Now"
    assert rows(lake, "answer") == before


def test_what_honest_writers_added_behind_such_a_record_is_done_again(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    first = list_commits(lake)[0]
    late = {"committed_at": "9000-12-30T23:59:59.999998"}
    rewrite(lake.commits_dir / f"{first.commit_id}.json", **late)
    _title(lake, "Title 0")
    with pytest.raises(LayerhouseError, match="--repair"):
        _title(lake, "Title 1")
    assert len(repair(lake)) > 1
    for number in range(3):
        _title(lake, f"Title {number}")
    assert _shown(lake) == "Title 2"


def test_a_copied_lake_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records have other dates, and say the same."""
    lake = small_lake(tmp_path / "lake")
    refresh(lake)
    shutil.copytree(lake.root, tmp_path / "copy", copy_function=shutil.copy)
    monkeypatch.setattr("warehouse.catalogue.refreshing.build", None)
    assert _read(Lake.at(tmp_path / "copy"), "SELECT count(*) FROM answer") == [(4,)]


def _run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code in (0, None), arguments


def _worked(lake: Path) -> dict[str, Any]:
    """Every command once, and what the marts say in the end."""
    names = ("--lake", str(lake), "--dataset", "digits")
    for fault in ([], ["--fault", "swap@llm.2:0.5"]):
        wanted = ("--model", "tiny-digits", *fault, "--limit", "120", "--layer", "-1")
        _run("extract", *names, *wanted, "--answer", "likelihood")
    for model in ("tiny-digits", "tiny-digits+fault:swap@llm.2:0.5"):
        _run("probe", *names, "--model", model, "--seeds", "1")
    _run("baseline", *names, "--architecture", "texture-svm")
    for margin in ("0.02", "0.3", "0.02"):
        for model in ("tiny-digits", "tiny-digits+fault:swap@llm.2:0.5"):
            _run("diagnose", *names, "--model", model, "--resamples", "100", "--margin", margin)
        _run("publish", "--lake", str(lake), "--out", str(lake.parent / f"{lake.name}-marts"))
    _run("validate", "--lake", str(lake))
    published = lake.parent / f"{lake.name}-marts" / "marts.duckdb"
    assert published.exists()
    with connect(lake) as wh:
        marts = [name for (name,) in wh.sql("SHOW TABLES").fetchall() if name.startswith("mart_")]
        return {
            mart: [
                [round(cell, 9) if isinstance(cell, float) else cell for cell in row]
                for row in wh.sql(
                    f"SELECT COLUMNS(lambda c: c <> 'built_on') FROM {mart} ORDER BY ALL"
                ).fetchall()
            ]
            for mart in marts
        }


@pytest.mark.slow
def test_a_clock_that_goes_back_at_every_step_changes_no_mart(tmp_path: Path, turn: Turn) -> None:
    forward = _worked(tmp_path / "forward")
    for name, step in STEPS.items():
        turn(step)
        assert _worked(tmp_path / name) == forward
    assert publish(Lake.at(tmp_path / "a day"), tmp_path / "a day-marts") == []
