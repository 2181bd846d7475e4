"""Several agents at once: ranges are shared, the dead are replaced, the lake stays the same."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract.engines import local as workers
from extract.engines.local import extract_with_workers
from extract.running import extraction
from extract.running.extraction import ExtractSummary, extract
from extract.sharing import ledger
from extract.sharing.claims import Claims
from extract.sharing.coverage import Range
from tests.extract.running.test_agent import _assert_same, _assert_same_answers, _request, _vectors
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.history import find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.repairing import repair
from warehouse.lake.standing import list_commits
from warehouse.status import status


def _covered(lake: Lake) -> list[tuple[int, int]]:
    commits = list_commits(lake, command="extract")
    return sorted((c.covers["start"], c.covers["stop"]) for c in commits if "start" in c.covers)


@pytest.fixture(scope="module")
def alone(
    registered_lake: Path, llava_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """What one undisturbed agent makes. Readers only."""
    lake = Lake.at(tmp_path_factory.mktemp("alone") / "lake")
    shutil.copytree(registered_lake, lake.root)
    extract(lake, _request(llava_folder))
    return lake


def test_claims_overlap_where_samples_do_and_end_with_their_holder(lake: Lake) -> None:
    with Claims(lake, "m", "d") as other:
        with Claims(lake, "m", "d") as one, Claims(lake, "m", "else") as elsewhere:
            assert one.take(0, 16)
            assert not other.take(15, 20)
            assert other.take(16, 32)
            assert elsewhere.take(0, 32)
            one.release(0, 8)
            assert other.take(0, 8)
            one.release(8, 8)
            assert not other.take(8, 9)
        assert other.take(0, 16)


def test_what_others_hold_is_done_last_and_what_they_did_is_not(lake: Lake) -> None:
    ranges = [Range(start, start + 4, (), ("generate",)) for start in (0, 4, 8)]
    done_by_others = {4}

    def lacking(start: int, stop: int) -> list[Range]:
        return [r for r in ranges if start <= r.start < stop and r.start not in done_by_others]

    with Claims(lake, "m", "d") as other, Claims(lake, "m", "d") as mine:
        other.take(0, 4)
        rounds = mine.rounds(ranges, lacking)
        assert [mine.start for mine in next(rounds)] == [8], "nobody is waited for within a round"
        other.release(0, 4)  # it died
        assert [mine.start for mine in next(rounds)] == [0]
        assert next(rounds, None) is None


def test_agents_at_the_same_time_share_the_work(
    lake: Lake, llava_folder: Path, alone: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "range_size", lambda *_: 2)
    summaries: list[ExtractSummary] = []
    threads = [
        threading.Thread(target=lambda: summaries.append(extract(lake, _request(llava_folder))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(summaries) == 2
    assert _covered(lake) == [(start, start + 2) for start in range(0, 12, 2)]
    _assert_same(_vectors(lake), _vectors(alone))
    _assert_same_answers(lake, alone)


def test_two_that_disagree_about_a_configuration_cannot_both_begin(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first begins after the second has looked: the second is refused all the same."""
    look = extraction.refuse_other_identity
    looks: list[str] = []

    def look_before_the_other_begins(job: Any) -> None:
        look(job)
        looks.append(job.dtype)
        if looks == ["bfloat16"]:
            extract(lake, _request(llava_folder, limit=2))

    monkeypatch.setattr(extraction, "refuse_other_identity", look_before_the_other_begins)
    with pytest.raises(LayerhouseError, match=r'\(dtype: "float32" → "bfloat16"\)'):
        extract(lake, _request(llava_folder, limit=2, dtype="bfloat16"))
    assert looks == ["bfloat16", "float32", "float32"]
    runs = find_runs(lake, "extract")
    assert [run["config"]["identity"]["dtype"] for run in runs] == ["float32"]


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_the_lake_is_that_of_one(
    lake: Lake, llava_folder: Path, alone: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    hear = workers._Worker.hear

    def hear_and_kill(self: workers._Worker) -> None:
        hear(self)
        if not killed and self.summary is None and self.process.pid:
            killed.append(self.process.pid)
            os.kill(self.process.pid, signal.SIGKILL)

    monkeypatch.setattr(workers._Worker, "hear", hear_and_kill)
    seen: list[tuple[int, int]] = []
    request = _request(llava_folder, batch_size=4)
    summary = extract_with_workers(
        lake, request, 2, lambda done, total, _note="": seen.append((done, total))
    )
    assert killed
    assert summary.added
    assert all(done <= total for done, total in seen)
    _assert_same(_vectors(lake), _vectors(alone))
    _assert_same_answers(lake, alone)
    assert not extract_with_workers(lake, request, 2).added


@pytest.mark.slow
def test_a_worker_that_only_dies_is_given_up(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_work", os.abort)
    with pytest.raises(LayerhouseError, match="died 3 times in a row"):
        extract_with_workers(lake, _request(llava_folder), 2)


@pytest.mark.slow
def test_a_worker_s_error_is_the_command_s(lake: Lake, llava_folder: Path) -> None:
    with pytest.raises(LayerhouseError, match="99"):
        extract_with_workers(lake, _request(llava_folder, device="cpu", layers=("99",)), 2)


@pytest.mark.slow
def test_a_finished_extraction_that_lost_commits_is_made_whole_again(
    lake: Lake, llava_folder: Path, alone: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "range_size", lambda *_: 4)
    extract(lake, _request(llava_folder))
    lost = next(c for c in list_commits(lake, command="extract") if c.covers.get("start") == 4)
    (lake.commits_dir / f"{lost.commit_id}.json").unlink()
    for shard in lost.shards:
        (lake.root / shard.path).unlink()
    assert extract(lake, _request(llava_folder)).added
    assert _covered(lake) == [(0, 4), (4, 8), (8, 12)]
    _assert_same(_vectors(lake), _vectors(alone))
    newest: Commit = list_commits(lake, command="extract")[-1]
    assert newest.is_finish
    assert np.all(
        [commit.run_id == newest.run_id for commit in list_commits(lake, command="extract")]
    )


@pytest.mark.slow
@pytest.mark.parametrize("which", ["first", "range", "last"])
def test_any_commit_that_was_damaged_is_done_again_by_the_same_command(
    lake: Lake, llava_folder: Path, alone: Lake, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """The first says which model and layers the run is of."""
    monkeypatch.setattr(ledger, "range_size", lambda *_: 4)
    extract(lake, _request(llava_folder))
    commits = list_commits(lake, command="extract")
    chosen = {
        "first": next(c for c in commits if "anatomy" in c.covers),
        "range": next(c for c in commits if c.covers.get("start") == 4),
        "last": commits[-1],
    }
    record = lake.commits_dir / f"{chosen[which].commit_id}.json"
    record.write_bytes(record.read_bytes()[:-9])
    assert status(lake).damaged
    repair(lake)
    before = status(lake)
    assert (before.damaged, before.problem) == ([], None)
    assert [run.run_id for run in before.unfinished] == [chosen[which].run_id]
    extract(lake, _request(llava_folder))
    assert _covered(lake) == [(0, 4), (4, 8), (8, 12)]
    _assert_same(_vectors(lake), _vectors(alone))
    assert status(lake).unfinished == []
    assert _n_layers(lake) == _n_layers(alone)


def _n_layers(lake: Lake) -> int:
    with connect(lake) as wh:
        return int(wh.sql("SELECT count(*) FROM layer").fetchall()[0][0])
