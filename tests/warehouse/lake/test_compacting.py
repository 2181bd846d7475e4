"""Joining small commits changes no row and no work done, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.lake.test_power_loss import Journal
from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    activation_rows,
    add_dataset,
    answer_row,
    dataset_rows,
    extract_spec,
    files,
    resealed,
    rows_of,
)
from warehouse.catalogue import construction, filling
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake import compacting
from warehouse.lake.commits import Commit, read_commit
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.freeing import free
from warehouse.lake.history import find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.removing import remove
from warehouse.lake.repairing import repair, restore, sweep
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import commit_names, list_commits, list_records
from warehouse.schema import migrations
from warehouse.status import status
from warehouse.vocabulary import BLIND

N = FEWEST + 2
RUN = extract_spec().run_id
TABLES = ("activation", "answer", "sample", "dataset", "run", "removed_run")


def _tables(index: int) -> dict[str, list[dict[str, Any]]]:
    vectors = activation_rows([f"s{index}"], loci=(("vision", 0), ("llm", 1)), readouts=("mean",))
    return {"activation": vectors, "answer": [answer_row(f"s{index}")]}


def _covers(index: int) -> dict[str, Any]:
    return {"start": index, "stop": index + 1, "cells": [], "answers": ["generate"]}


def _add(lake: Lake, start: int, stop: int) -> list[int]:
    """Commits of a sample each; the numbers of those that were not there before."""
    writer = RunWriter(lake, extract_spec())
    before = {commit.n for commit in writer.committed}
    notes = {"n_images": 1, "seconds": {"model": 0.1}}
    made = [writer.commit(_tables(i), _covers(i), notes).n for i in range(start, stop)]
    return [n for n in made if n not in before]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake.at(tmp_path_factory.mktemp("kept") / "lake")
    add_dataset(lake, N)
    _add(lake, 0, N)
    RunWriter(lake, extract_spec()).finish()
    return lake


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _work(lake: Lake) -> list[tuple[Any, ...]]:
    """What the commits say was done, by whom, when and in which order."""
    return [
        (
            *(c.commit_id, c.command, c.model_id, c.dataset_id, c.order, c.covers, c.hash),
            sorted((s.table, s.rows) for s in c.shards),
        )
        for c in list_commits(lake)
    ]


def _joined(lake: Lake) -> Commit:
    (done,) = compact(lake)
    assert done.joined is not None
    return done.joined


def _finished(run: dict[str, Any]) -> bool:
    return bool(run["run_id"] == RUN and run["status"] == "finished")


def test_rows_and_work_stay_as_they_were_behind_one_record(lake: Lake) -> None:
    before, work, runs = rows_of(lake, *TABLES), _work(lake), find_runs(lake)
    n_bytes = sum(commit.n_bytes for commit in list_commits(lake))
    joined = _joined(lake)
    assert rows_of(lake, *TABLES) == before
    assert _work(lake) == work
    assert find_runs(lake) == runs
    assert sum(commit.n_bytes for commit in list_commits(lake)) == n_bytes
    assert [name for name in commit_names(lake) if "datasets" not in name] == [joined.commit_id]
    assert sorted(shard.table for shard in joined.shards) == [
        *("activation", "activation", "answer", "run")
    ]
    assert list(compact(lake)) == []


def test_what_commits_note_is_added_up(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    writer = RunWriter(lake, extract_spec())
    for n in range(FEWEST):
        fitted = {"device": "cpu", "batch": n}
        notes = {
            "n_images": n,
            "seconds": {"write": 0.5},
            "fitted": fitted,
            BLIND: ["a", f"{n % 2}"],
        }
        writer.commit({"answer": [answer_row(f"s{n}")]}, _covers(n), notes)
    _joined(lake)
    assert list_commits(lake)[-1].notes == {
        "n_images": sum(range(FEWEST)),
        "seconds": {"write": FEWEST / 2},
        "fitted": {"device": "cpu", "batch": FEWEST - 1},
        BLIND: ["a", "0", "1"],
    }


def test_a_dry_run_says_what_would_be_and_does_nothing(lake: Lake) -> None:
    before = files(lake)
    (planned,) = compact(lake, dry_run=True)
    assert (planned.run_id, planned.n_commits, planned.n_shards) == (RUN, N + 1, 3 * N + 2)
    assert planned.n_folders == 4
    assert planned.joined is None
    assert files(lake) == before


def test_few_commits_and_large_ones_are_left_alone(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "MOST_BYTES", 20_000)
    monkeypatch.setattr(compacting, "FEWEST", 2)
    before = rows_of(lake, *TABLES)
    sizes = [sum(s.bytes for s in c.shards) for c in list_records(lake) if c.run_id == RUN]
    large = [n for n, size in enumerate(sizes) if 2 * size >= 20_000]
    done = [one.joined for one in compact(lake) if one.run_id == RUN]
    assert len(done) > 1
    for joined in done:
        assert joined is not None
        assert joined.numbers.isdisjoint(large)
        assert sum(sizes[n] for n in joined.numbers) <= 20_000
    assert rows_of(lake, *TABLES) == before


# The newest row of a key is the newest after joining too.


def _title(lake: Lake, run: str, title: str) -> None:
    rows = {"dataset": [dataset_rows()["dataset"][0] | {"title": title}]}
    RunWriter(lake, RunSpec("datasets-add", None, DATASET, {"run": run})).commit(rows)


def _text(lake: Lake, run: str, text: str) -> None:
    RunWriter(lake, extract_spec(run=run)).commit(
        {"answer": [answer_row("s0") | {"text": text}]},
        covers={"replaces": ["answer"], "loci": [text]},
    )


def _newest(lake: Lake) -> tuple[str, list[str]]:
    found = rows_of(lake, "dataset", "answer")
    return found["dataset"][0][1], [row[6] for row in found["answer"]]


@pytest.fixture
def mixed(tmp_path: Path) -> Lake:
    """Two runs that bring one key in turns; the other has the last word, and is not joined."""
    lake = Lake.at(tmp_path / "mixed")
    for index in range(FEWEST):
        for write in (_title, _text):
            write(lake, "one", f"one {index}")
    for write in (_title, _text):
        write(lake, "other", "other")
    assert _newest(lake) == ("other", ["other"])
    return lake


@pytest.mark.slow
def test_of_rows_with_one_key_the_newest_counts_as_before(mixed: Lake) -> None:
    assert len(list(compact(mixed))) == 2
    assert _newest(mixed) == ("other", ["other"])
    with connect(mixed) as wh:
        assert wh.sql("SELECT text FROM answer").fetchall() == [("other",)]
    for write in (_title, _text):
        write(mixed, "one", "one again")
    with connect(mixed) as wh:  # which adds to the catalogue
        assert wh.sql("SELECT text FROM answer").fetchall() == [("one again",)]


def test_a_joined_row_is_not_as_new_as_what_joined_it(
    mixed: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the order of joined rows by the compaction's own time."""
    list(compact(mixed))

    def unsafe(commits: list[Commit]) -> Iterator[tuple[Any, ...]]:
        for one in commits:
            for shard in one.shards:
                yield shard.path, 0, shard.rows, one.order[0], one.run_id, one.n

    monkeypatch.setattr(filling, "parts", unsafe)
    assert _newest(mixed) != ("other", ["other"])


# Given again, and gone on with.


def test_what_was_done_is_not_done_again_and_the_run_goes_on(lake: Lake) -> None:
    _joined(lake)
    free(lake)
    assert RunWriter(lake, extract_spec()).is_finished
    RunWriter(lake, extract_spec()).reopen()
    assert _add(lake, 0, N) == []
    assert _add(lake, 0, N + 2) == [N + 2, N + 3]
    run = next(run for run in find_runs(lake) if run["run_id"] == RUN)
    assert (run["n_images"], run["seconds"]) == (N + 2, {"model": pytest.approx(0.1 * (N + 2))})


def test_a_writer_that_was_at_work_before_goes_on(lake: Lake) -> None:
    writer = RunWriter(lake, extract_spec())
    writer.reopen()
    writer.commit(_tables(N), _covers(N))
    _joined(lake)
    free(lake)
    assert writer.commit(_tables(N), _covers(N)).n == N + 2
    assert writer.commit(_tables(N + 1), _covers(N + 1)).n == N + 3
    assert len(rows_of(lake, "answer")["answer"]) == N + 2


def test_a_compaction_is_joined_again_with_what_came_after(lake: Lake) -> None:
    first = _joined(lake)
    RunWriter(lake, extract_spec()).reopen()
    _add(lake, N, N + FEWEST)
    before, work = rows_of(lake, *TABLES), _work(lake)
    second = _joined(lake)
    assert first.numbers < second.numbers
    assert (rows_of(lake, *TABLES), _work(lake)) == (before, work)
    free(lake)
    assert len(list(lake.commits_dir.glob("compact-*.json"))) == 1
    assert (rows_of(lake, *TABLES), _work(lake)) == (before, work)


# The space.


@pytest.mark.slow
def test_free_deletes_what_was_joined_and_only_that(lake: Lake) -> None:
    before, work = rows_of(lake, *TABLES), _work(lake)
    named = {s.path for c in list_records(lake) if c.run_id == RUN for s in c.shards}
    joined = _joined(lake)
    assert status(lake).leftovers == []
    assert {each.path for each in status(lake).removed} == named
    there = files(lake)
    records = {f"commits/{RUN}-{n}.json" for n in joined.numbers}
    assert {each.path for each in free(lake, dry_run=True)} == named | records
    assert files(lake) == there
    assert {each.path for each in free(lake)} == named | records
    assert files(lake) == there - named - records
    assert free(lake) == []
    assert (rows_of(lake, *TABLES), _work(lake)) == (before, work)
    assert repair(lake) == []
    assert sweep(lake).set_aside == []
    after = status(lake, verify=True)
    assert (after.removed, after.damaged, after.leftovers, after.problem) == ([], [], [], None)


@pytest.mark.slow
def test_who_opened_the_lake_before_sees_what_it_saw(lake: Lake) -> None:
    with connect(lake) as older:
        _joined(lake)
        X, _ = older.activations(MODEL, DATASET, "llm", 1, "mean")
        with connect(lake) as newer:
            Y, _ = newer.activations(MODEL, DATASET, "llm", 1, "mean")
        assert X.tolist() == Y.tolist()
        free(lake)
        with pytest.raises(LayerhouseError, match="is missing"):
            older.activations(MODEL, DATASET, "llm", 1, "mean")


def test_a_catalogue_is_built_although_what_it_was_to_read_is_freed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = construction.fill

    def late(*given: Any) -> None:
        monkeypatch.undo()
        _joined(lake)
        free(lake)
        fill(*given)

    monkeypatch.setattr(construction, "fill", late)
    with connect(lake) as wh:
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(N,)]


@pytest.mark.parametrize("look", [_work, list_records, commit_names, find_runs, status, sweep])
def test_a_look_at_records_that_are_freed_meanwhile_is_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, look: Callable[[Lake], Any]
) -> None:
    names = type(lake.store).commit_names
    work = _work(lake)
    older = names(lake.store)
    _joined(lake)
    free(lake)
    listed = iter([older])
    monkeypatch.setattr(
        type(lake.store), "commit_names", lambda store: next(listed, None) or names(store)
    )
    found = look(lake)
    assert next(listed, None) is None
    if look is _work:
        assert found == work
    if look is status:
        assert (found.damaged, found.problem) == ([], None)


def test_a_record_that_was_joined_and_comes_back_changes_nothing(lake: Lake, kept: Lake) -> None:
    before = rows_of(lake, *TABLES)
    _joined(lake)
    free(lake)
    for path in files(kept):
        if RUN in path and not (lake.root / path).exists():
            shutil.copy(kept.root / path, lake.root / path)
    assert rows_of(lake, *TABLES) == before
    assert len(free(lake)) == 4 * N + 3
    assert rows_of(lake, *TABLES) == before


def test_a_record_of_a_joined_number_that_is_another_is_not_deleted(lake: Lake) -> None:
    _joined(lake)
    path = lake.commits_dir / f"{RUN}-3.json"
    record = json.loads(path.read_text())
    path.write_text(resealed(record | {"covers": _covers(99)}))
    shards = {shard["path"] for shard in record["shards"]}
    assert shards.isdisjoint(each.path for each in free(lake))
    assert path.exists()


def test_a_lost_record_that_comes_back_is_there_beside_the_compaction(lake: Lake) -> None:
    before, path = rows_of(lake, *TABLES), lake.commits_dir / f"{RUN}-4.json"
    text = path.read_bytes()
    path.unlink()
    joined = _joined(lake)
    assert 4 not in joined.numbers
    assert len(rows_of(lake, "answer")["answer"]) == N - 1
    sweep(lake)
    path.write_bytes(text)
    restore(lake)
    assert rows_of(lake, *TABLES) == before


# Damage.


def _harm(lake: Lake, joined: Commit, what: str) -> None:
    path = lake.commits_dir / f"{joined.commit_id}.json"
    if what == "shard":
        path = lake.root / joined.shards[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["record", "shard"])
def test_from_a_damaged_compaction_a_repair_goes_back_to_what_it_joined(
    lake: Lake, what: str
) -> None:
    before, joined = rows_of(lake, *TABLES), _joined(lake)
    _harm(lake, joined, what)
    there = files(lake)
    said = "cannot be read; run" if what == "record" else "go(es)? back to that|goes back"
    with pytest.raises(LayerhouseError, match=said):
        free(lake)
    assert files(lake) == there
    (taken,) = repair(lake)
    assert taken.commit_id == joined.commit_id
    after = rows_of(lake, *TABLES)
    assert {name: after[name] for name in TABLES if name != "run"} == {
        name: before[name] for name in TABLES if name != "run"
    }
    assert _add(lake, 0, N) == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["record", "shard"])
def test_of_a_damaged_compaction_whose_parts_are_gone_the_command_does_all_again(
    lake: Lake, what: str
) -> None:
    RunWriter(lake, extract_spec()).reopen()
    before, joined = rows_of(lake, "activation", "answer"), _joined(lake)
    free(lake)
    _add(lake, N, N + 1)
    _harm(lake, joined, what)
    assert len(status(lake, verify=True).damaged) == 1
    repair(lake)
    assert not any(map(_finished, find_runs(lake)))
    assert len(_add(lake, 0, N + 1)) == N
    assert len(rows_of(lake, "answer")["answer"]) == N + 1
    after = rows_of(lake, "activation", "answer")
    assert all(row in after[name] for name in before for row in before[name])


def test_what_is_damaged_is_not_joined(lake: Lake) -> None:
    shard = next(s for s in read_commit(lake, f"{RUN}-2").shards if s.table == "answer")
    path = lake.root / shard.path
    path.write_bytes(path.read_bytes()[::-1])
    before = files(lake)
    with pytest.raises(LayerhouseError, match=f"{re.escape(shard.path)} .* another checksum"):
        list(compact(lake))
    assert files(lake) == before


def test_of_two_compactions_that_overlap_neither_is_read_until_one_is_set_aside(
    lake: Lake,
) -> None:
    """One was damaged and set aside, a commit was lost, what was left was joined, and the first
    was put back from a copy."""
    first = _joined(lake)
    record = lake.commits_dir / f"{first.commit_id}.json"
    held = {path: (lake.root / path).read_bytes() for path in [s.path for s in first.shards]}
    text = record.read_bytes()
    record.unlink()
    (lake.commits_dir / f"{RUN}-5.json").unlink()
    RunWriter(lake, extract_spec()).reopen()
    _add(lake, N, N + 1)
    second = _joined(lake)
    before = rows_of(lake, "answer")["answer"]
    for path, content in held.items():
        (lake.root / path).write_bytes(content)
    record.write_bytes(text)
    with pytest.raises(LayerhouseError, match=rf"{first.commit_id} .* is back .*status --repair"):
        rows_of(lake, "answer")
    (taken,) = repair(lake)
    assert taken.commit_id == first.commit_id
    assert second.commit_id in commit_names(lake)
    assert rows_of(lake, "answer")["answer"] == before


# Others at work.


def _meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen when the joined shards are written, before they are committed."""
    entered = compacting._entered

    def after(*given: Any) -> Commit | None:
        monkeypatch.undo()
        act()
        return entered(*given)

    monkeypatch.setattr(compacting, "_entered", after)


def test_of_two_that_join_the_same_one_does(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_of(lake, *TABLES)
    _meanwhile(monkeypatch, lambda: _joined(lake))
    (left,) = compact(lake)
    assert left.joined is None
    assert rows_of(lake, *TABLES) == before
    assert len(list(lake.commits_dir.glob("compact-*.json"))) == 1
    assert not list(lake.root.rglob("*.tmp"))


def test_of_two_that_join_other_groups_one_does(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunWriter(lake, extract_spec()).reopen()
    before = rows_of(lake, "activation", "answer")

    def more() -> None:
        _add(lake, N, N + 1)
        _joined(lake)

    _meanwhile(monkeypatch, more)
    (left,) = compact(lake)
    assert left.joined is None
    after = rows_of(lake, "activation", "answer")
    assert len(after["answer"]) == len(before["answer"]) + 1
    free(lake)
    assert rows_of(lake, "activation", "answer") == after


def test_an_unsafe_compaction_doubles_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: one that does not look again before it commits."""
    RunWriter(lake, extract_spec()).reopen()

    def more() -> None:
        (lake.commits_dir / f"{RUN}-1.json").unlink()
        _add(lake, N, N + 1)
        _joined(lake)

    monkeypatch.setattr(compacting, "_still_counts", lambda *_: True)
    entered = compacting._entered
    calls = iter([more])

    def after(*given: Any) -> Commit | None:
        for act in calls:
            act()
        return entered(*given)

    monkeypatch.setattr(compacting, "_entered", after)
    list(compact(lake))
    with pytest.raises(LayerhouseError, match="is back after its work was done again"):
        rows_of(lake, "answer")


def test_what_an_agent_commits_meanwhile_is_there_beside_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunWriter(lake, extract_spec()).reopen()
    _meanwhile(monkeypatch, lambda: _add(lake, N, N + 1))
    joined = _joined(lake)
    assert N + 2 not in joined.numbers
    assert len(rows_of(lake, "answer")["answer"]) == N + 1
    assert _add(lake, 0, N + 1) == []


@pytest.mark.slow
def test_agents_readers_and_compactions_side_by_side(tmp_path: Path) -> None:
    """Threads of one process: each lock is a file's own."""
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake, 60)
    done, failed = threading.Event(), []

    def watch(act: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                while not done.is_set():
                    act()
            except BaseException as error:
                failed.append(error)

        return run

    def read() -> None:
        answers = rows_of(lake, "answer")["answer"]
        assert len({row[2] for row in answers}) == len(answers)
        assert len(answers) >= seen[-1], "what was committed went away"
        seen.append(len(answers))

    seen = [0]
    threads = [
        threading.Thread(target=watch(read)),
        threading.Thread(target=watch(lambda: list(compact(lake)))),
    ]
    for thread in threads:
        thread.start()
    for index in range(60):
        RunWriter(lake, extract_spec()).commit(
            {"answer": [answer_row(f"s{index}")]}, _covers(index)
        )
    done.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(rows_of(lake, "answer")["answer"]) == 60


# Removal.


def test_a_removal_takes_out_what_was_joined(lake: Lake) -> None:
    joined = _joined(lake)
    removal = remove(lake, "model", MODEL)
    (run,) = removal.runs
    assert (run.facts.run_id, run.last, run.n_shards) == (RUN, N, len(joined.shards))
    assert rows_of(lake, "answer", "activation") == {"answer": [], "activation": []}
    assert [c for c in list_commits(lake) if c.run_id == RUN] == []
    free(lake)
    assert not [path for path in files(lake, "*.parquet") if "activation" in path]
    assert _add(lake, 0, N) == list(range(N + 1, 2 * N + 1))
    assert len(rows_of(lake, "answer")["answer"]) == N
    assert list(compact(lake))
    assert len(rows_of(lake, "answer")["answer"]) == N


def test_what_was_removed_meanwhile_is_not_joined(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    _meanwhile(monkeypatch, lambda: remove(lake, "model", MODEL))
    (left,) = compact(lake)
    assert left.joined is None
    assert rows_of(lake, "answer")["answer"] == []


def test_a_removal_goes_on_where_its_runs_are_joined_meanwhile(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.lake import removing

    commit = removing._commit

    def after(*given: Any) -> Any:
        monkeypatch.undo()
        _joined(lake)
        return commit(*given)

    monkeypatch.setattr(removing, "_commit", after)
    assert remove(lake, "model", MODEL).run_id is not None
    assert rows_of(lake, "answer")["answer"] == []


def test_a_removal_that_comes_back_over_a_compaction_is_told(lake: Lake) -> None:
    """Its record was lost, all was joined, and the record put back."""
    RunWriter(lake, extract_spec()).reopen()
    removal = remove(lake, "model", MODEL)
    record = lake.commits_dir / f"{removal.run_id}-0.json"
    text = record.read_bytes()
    record.unlink()
    _add(lake, N, N + 1)
    joined = _joined(lake)
    record.write_bytes(text)
    with pytest.raises(LayerhouseError, match=r"joined commits that a removal took out"):
        rows_of(lake, "answer")
    (taken,) = repair(lake)
    assert taken.commit_id == joined.commit_id
    assert [row[2] for row in rows_of(lake, "answer")["answer"]] == [f"s{N}"]


# Versions.


def test_an_earlier_layerhouse_refuses_a_lake_with_a_compaction(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = _joined(lake)
    lake.catalogue.unlink(missing_ok=True)
    older = [one for one in migrations() if one.name < "0022_compaction"]
    assert joined.schema not in {one.name for one in older}
    monkeypatch.setattr(filling, "migrations", lambda: older)
    with pytest.raises(LayerhouseError, match=r"newer Layerhouse .* upgrade Layerhouse to read it"):
        connect(lake)


# Killed, and without power.


class _Killed(BaseException):
    pass


def _killed_at(step: int, act: Callable[[], object]) -> bool:
    """Do it in a process that ends, without a word, before its nth sync, rename or deletion;
    returns whether it came to its end before."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    left = iter(range(step))

    def counted(done: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            if next(left, None) is None:
                os._exit(9)
            return done(*given, **named)

        return run

    try:
        os.fsync = counted(os.fsync)
        Path.replace = counted(Path.replace)  # type: ignore[method-assign]
        Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
        act()
    except BaseException:
        os._exit(8)
    os._exit(0)


EACH = pytest.param(1, marks=pytest.mark.slow)


@pytest.mark.parametrize("every", [EACH, 29])
def test_killed_at_any_step_nothing_is_lost_or_doubled(
    kept: Lake, tmp_path: Path, every: int
) -> None:
    before, work = rows_of(kept, *TABLES), _work(kept)
    step, ended = 0, False
    while not ended:
        lake = Lake.at(tmp_path / f"{step}")
        shutil.copytree(kept.root, lake.root)
        ended = _killed_at(step, lambda lake=lake: (list(compact(lake)), free(lake)))  # type: ignore[misc]
        assert rows_of(lake, *TABLES) == before, step
        assert _work(lake) == work, step
        assert repair(lake) == []
        sweep(lake)
        list(compact(lake))
        free(lake)
        assert rows_of(lake, *TABLES) == before, step
        assert len(commit_names(lake)) == 3, step
        left = {path for path in files(lake, "*.parquet") if not path.startswith("quarantine")}
        assert left == {shard.path for c in list_records(lake) for shard in c.shards}
        step += every
    assert step > 20


@pytest.mark.parametrize("kernel", ["cautious", pytest.param("eager", marks=pytest.mark.slow)])
def test_a_power_cut_at_any_moment_loses_and_doubles_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    before = rows_of(lake, *TABLES)
    journal = Journal(lake.root)
    for folder in [lake.root, *(p for p in lake.root.rglob("*") if p.is_dir())]:
        journal.synced(folder)
    for path in lake.root.rglob("*"):
        journal.synced(path)
    journal.cautious.clear()
    journal.eager.clear()
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        journal.synced(Path(f"/proc/self/fd/{descriptor}").readlink())

    def noted_replace(path: Path, target: Path) -> Path:
        moved = replace(path, target)
        journal.note()
        return moved

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    _joined(lake)
    monkeypatch.undo()
    disks = getattr(journal, kernel)
    changed = [disk for index, disk in enumerate(disks) if index == 0 or disk != disks[index - 1]]
    assert len(changed) > 5
    for number, disk in enumerate(changed):
        copy = Lake.at(tmp_path / f"after-{number}")
        for path, held in disk.items():
            to = copy.root / path.relative_to(lake.root)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(held)
        assert rows_of(copy, *TABLES) == before, number
