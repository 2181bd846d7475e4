"""A lake in a bucket equals one in a folder, whoever else writes to it and in whatever order."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from tests.warehouse.small_lakes import (
    MODEL,
    activation_rows,
    add_dataset,
    add_extraction,
    answer_row,
    contents,
    extract_spec,
    rows,
    small_lake,
)
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import repairing
from warehouse.lake.commits import Commit
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.freeing import free
from warehouse.lake.holding import still_held
from warehouse.lake.inspection import take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.removing import remove
from warehouse.lake.removing_samples import remove_samples
from warehouse.lake.repairing import repair, sweep
from warehouse.lake.runs import OvertakenError, RunWriter
from warehouse.lake.samples import removed_samples
from warehouse.lake.standing import commit_names, list_commits
from warehouse.status import status
from warehouse.storage.byte_ranges import BLOCK, TAIL
from warehouse.storage.location import mirror_folder
from warehouse.storage.mirror import follow, record_key
from warehouse.storage.objects import Objects, objects_at

pytest.importorskip("obstore", reason="lakes in buckets need obstore: pip install 'layerhouse[s3]'")

_numbers = itertools.count()


def machines(folder: Path, n: int = 1) -> list[Lake]:
    """One bucket in memory as `n` machines see it, each with a mirror of its own."""
    url = f"memory:///lake-{next(_numbers)}"
    return [Lake(folder / f"{url[10:]}-{index}", url) for index in range(n)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return machines(tmp_path)[0]


def objects(lake: Lake) -> Objects:
    assert lake.url is not None
    return objects_at(lake.url)


def keys(lake: Lake, prefix: str = "") -> list[str]:
    return sorted(objects(lake).entries(prefix))


def put(lake: Lake, key: str, content: bytes) -> None:
    """Overwrite an object, which Layerhouse itself never does."""
    objects(lake).delete([key])
    assert objects(lake).create(key, content)


def without_places(
    found: dict[str, list[tuple[object, ...]]],
) -> dict[str, list[tuple[object, ...]]]:
    """Rows of data; those that name files and times differ between any two lakes."""
    own = {"commit_record", "shard", "run"}
    return {name: held for name, held in found.items() if name not in own}


@pytest.mark.slow
def test_every_table_and_view_equals_that_of_a_folder(lake: Lake, tmp_path: Path) -> None:
    folder = small_lake(tmp_path / "folder")
    add_dataset(lake)
    add_extraction(lake)
    assert without_places(contents(lake)) == without_places(contents(folder))
    with connect(lake) as here, connect(folder) as there:
        ours, theirs = (wh.activations(MODEL, "digits", "llm", 0, "mean") for wh in (here, there))
    assert ours[0].tolist() == theirs[0].tolist()
    assert ours[1].equals(theirs[1])


def test_vectors_stay_in_the_bucket_and_small_tables_are_copied(lake: Lake) -> None:
    add_dataset(lake)
    add_extraction(lake)
    contents(lake)
    assert not list(lake.root.rglob("activation/**/*.parquet"))
    assert list(lake.root.rglob("sample/*.parquet"))
    assert not list(lake.root.rglob("*.tmp"))


def test_to_read_one_locus_little_else_is_fetched(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of each shard, one block of short columns, and the vectors themselves."""
    n, width, layers = 64, 512, tuple(range(24))
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(n)]
    wide = [
        row | {"vector": rng.standard_normal(width).astype(np.float32)}
        for row in activation_rows(
            names, loci=tuple(("llm", i) for i in layers), readouts=("mean",)
        )
    ]
    add_dataset(lake, n)
    with RunWriter(lake, extract_spec()) as writer:
        writer.commit({"activation": wide})
    (shard,) = [s for c in list_commits(lake) for s in c.shards if s.table == "activation"]
    fetched: list[int] = []
    for name in ("tail", "span"):
        monkeypatch.setattr(Objects, name, counting(getattr(Objects, name), fetched))
    most = shard.bytes / len(layers) + TAIL + BLOCK
    with connect(lake) as wh:
        fetched.clear()
        X, _ = wh.activations(MODEL, "digits", "llm", 7, "mean")
        by_python = sum(fetched)
        fetched.clear()
        found = wh.sql("SELECT vector FROM activation WHERE layer = 8 AND readout = 'mean'")
        assert len(found.fetchall()) == n
    assert X.shape == (n, width)
    assert 0 < by_python <= most
    assert 0 < sum(fetched) <= most
    assert most < shard.bytes / 4


def counting(method: Any, fetched: list[int]) -> Any:
    def counted(self: Objects, *where: Any) -> Any:
        found = method(self, *where)
        fetched.append(len(found if isinstance(found, bytes) else found[0]))
        return found

    return counted


def test_another_machine_sees_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    here, there = machines(tmp_path, 2)
    add_dataset(here)
    objects(here).create("answer/model=m/dataset=d/part-x-1.parquet", b"never committed")
    assert commit_names(there) == commit_names(here)
    assert rows(there, "sample") == rows(here, "sample")
    (left,) = status(there).leftovers
    assert (left.kind, left.path) == ("uncommitted", "answer/model=m/dataset=d/part-x-1.parquet")


def test_a_lost_mirror_comes_back(lake: Lake) -> None:
    add_dataset(lake)
    before = rows(lake, "sample")
    for path in sorted(lake.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert rows(lake, "sample") == before


def test_where_nothing_was_committed_there_is_no_lake(lake: Lake) -> None:
    with pytest.raises(UsageError, match=r"there is no lake at memory:///lake.*extract` makes one"):
        connect(lake)


# Writers that race: each does pieces of one piece of work, on machines that know of one another
# only through the bucket.


def unit(lake: Lake, start: int, stop: int) -> None:
    """One unit of an extraction, as an agent that knows of nobody commits it."""
    names = [f"s{i}" for i in range(start, stop)]
    tables = {"activation": activation_rows(names), "answer": [answer_row(n) for n in names]}

    def clashes(commit: Commit) -> bool:
        done = commit.covers
        return bool("start" in done and done["start"] < stop and start < done["stop"])

    with RunWriter(lake, extract_spec(), looked=frozenset()) as writer:
        writer.commit(tables, covers={"start": start, "stop": stop}, clashes=clashes)


@pytest.mark.slow
@settings(max_examples=8)
@given(
    work=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=6
    )
)
def test_whatever_the_order_no_sample_is_there_twice(
    tmp_path_factory: pytest.TempPathFactory, work: list[tuple[int, int, int]]
) -> None:
    lakes = machines(tmp_path_factory.mktemp("machines"), 2)
    held: set[int] = set()
    for who, start, n in work:
        wanted = set(range(start, start + n))
        ranges = {(c.covers["start"], c.covers["stop"]) for c in list_commits(lakes[who])}
        if held & wanted and (start, start + n) not in ranges:
            with pytest.raises(OvertakenError, match="nothing was doubled"):
                unit(lakes[who], start, start + n)
        else:
            unit(lakes[who], start, start + n)
            held |= wanted
    found = sorted(row[2] for row in rows(lakes[0], "answer"))
    assert found == sorted(f"s{i}" for i in held)
    assert commit_names(lakes[1]) == commit_names(lakes[0])
    assert not status(lakes[0]).leftovers, "a shard that was not wanted stayed in the bucket"


def race(lakes: list[Lake], ranges: list[tuple[int, int]]) -> list[Exception]:
    """Both machines commit at the same time; returns what they raised."""
    raised: list[Exception] = []
    ready = threading.Barrier(len(lakes))

    def work(lake: Lake) -> None:
        ready.wait()
        for start, stop in ranges:
            try:
                unit(lake, start, stop)
            except OvertakenError as error:
                raised.append(error)

    threads = [threading.Thread(target=work, args=[lake]) for lake in lakes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def hold_both(
    monkeypatch: pytest.MonkeyPatch, create: Callable[[Objects, str, bytes], bool]
) -> None:
    """Let both machines come to the bucket with the same next number before either enters it."""
    both = threading.Barrier(2)

    def entering(self: Objects, key: str, content: bytes) -> bool:
        if key == record_key(0):
            both.wait(timeout=30)
        return create(self, key, content)

    monkeypatch.setattr(Objects, "create", entering)


def test_of_two_that_take_one_number_one_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = machines(tmp_path, 2)
    hold_both(monkeypatch, Objects.create)
    assert race(lakes, [(0, 2), (2, 4)]) == []
    assert [row[2] for row in rows(lakes[0], "answer")] == ["s0", "s1", "s2", "s3"]
    assert keys(lakes[0], "commits") == [f"commits/{n:010}.json" for n in (0, 1)]
    assert not status(lakes[0]).leftovers, "a shard of the turn that was lost stayed"


def test_without_creating_only_where_none_is_work_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = machines(tmp_path, 2)

    def overwriting(self: Objects, key: str, content: bytes) -> bool:
        with one_at_a_time:
            self.delete([key])
            return created(self, key, content)

    created, one_at_a_time = Objects.create, threading.Lock()
    hold_both(monkeypatch, overwriting)
    done: list[str] = []
    ready = threading.Barrier(2)

    def work(lake: Lake, start: int) -> None:
        ready.wait()
        unit(lake, start, start + 2)
        done.extend([f"s{start}", f"s{start + 1}"])

    threads = [threading.Thread(target=work, args=each) for each in zip(lakes, (0, 2), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["s0", "s1", "s2", "s3"], "both were told that they had committed"
    assert len(rows(lakes[0], "answer")) == 2


def test_work_that_was_planned_before_another_machine_did_it_is_refused(tmp_path: Path) -> None:
    here, there = machines(tmp_path, 2)
    with RunWriter(here, extract_spec(seeds=1)) as mine:
        with RunWriter(there, extract_spec(seeds=2)) as other:
            other.commit({"answer": [answer_row("s0")]})
        with pytest.raises(OvertakenError, match="another machine did some of the same work"):
            mine.commit({"answer": [answer_row("s0")]})
    assert len(rows(here, "answer")) == 1


def test_a_lost_reply_is_not_taken_for_another_writer(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was made, the answer never came, and the request was sent again."""
    created = Objects.create

    def twice(self: Objects, key: str, content: bytes) -> bool:
        created(self, key, content)
        return created(self, key, content)

    monkeypatch.setattr(Objects, "create", twice)
    unit(lake, 0, 2)
    monkeypatch.undo()
    assert len(commit_names(lake)) == 1
    assert len(rows(lake, "answer")) == 2


def test_a_machine_whose_clock_is_late_still_commits_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machines(tmp_path, 2)
    unit(here, 0, 2)
    (first,) = list_commits(here)
    monkeypatch.setattr("warehouse.lake.drafting._now", lambda: first.order[0].replace(year=2001))
    unit(there, 2, 4)
    assert [c.covers["start"] for c in list_commits(here)] == [0, 2]


# Damage.


@pytest.mark.parametrize(
    ("table", "how"),
    [
        ("activation", "flipped"),
        pytest.param("answer", "cut", marks=pytest.mark.slow),
        pytest.param("activation", "removed", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_object_is_found_and_taken_out(lake: Lake, table: str, how: str) -> None:
    unit(lake, 0, 2)
    unit(lake, 2, 4)
    before = [rows(lake, name) for name in ("activation", "answer")]
    key = keys(lake, table)[0]
    content = bytearray(objects(lake).read(key))
    content[len(content) // 2] ^= 1
    if how == "removed":
        objects(lake).delete([key])
    else:
        put(lake, key, bytes(content) if how == "flipped" else bytes(content[:-7]))
    assert [each.path for each in status(lake, verify=True).damaged] == [key]
    (taken,) = repair(lake)
    assert key in taken.reason
    assert status(lake, verify=True).damaged == []
    assert key not in keys(lake)
    assert (f"{taken.folder}/{key}" in keys(lake)) == (how != "removed")
    unit(lake, 0, 2)
    unit(lake, 2, 4)
    assert [rows(lake, name) for name in ("activation", "answer")] == before


def test_a_record_that_cannot_be_read_is_taken_out_and_its_number_never_given_again(
    tmp_path: Path,
) -> None:
    here, there = machines(tmp_path, 2)
    unit(here, 0, 2)
    unit(here, 2, 4)
    put(here, "commits/0000000000.json", b"{")
    assert [each.path for each in status(there).damaged] == ["commits/0000000000.json"]
    (taken,) = repair(there)
    assert taken.files == ("commits/0000000000.json",)
    assert len(commit_names(here)) == 2  # the other unit, and the note that the run is open again
    unit(here, 0, 2)
    assert len(rows(there, "answer")) == 4
    assert "commits/0000000000.json" not in keys(here)


@pytest.mark.parametrize("number", [0, 1])
def test_a_record_that_was_lost_and_is_put_back_brings_back_its_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    here, there = machines(tmp_path, 2)
    unit(here, 0, 2)
    unit(here, 2, 4)
    before = [rows(here, name) for name in ("activation", "answer")]
    key = f"commits/{number:010}.json"
    record = objects(here).read(key)
    named = sorted(shard["path"] for shard in json.loads(record)["shards"])
    objects(here).delete([key])
    assert sweep(there).set_aside == [], "another machine may be about to commit them"
    assert not keys(here, "quarantine")
    monkeypatch.setattr(repairing, "DEAD_AFTER", timedelta(days=-1))
    swept = sweep(there)
    assert sorted(each.path for each in swept.set_aside) == named
    assert not set(named) & set(keys(here))
    assert f"{swept.folder}/why.txt" in keys(here)
    assert free(there) == []
    assert objects(here).create(key, record)
    assert sorted(repairing.restore(here)) == named
    assert status(here, verify=True).damaged == []
    assert [rows(there, name) for name in ("activation", "answer")] == before
    assert repairing.restore(here) == []


def test_what_no_commit_can_name_any_more_is_freed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed agent left, once others committed after it was set aside; while the record of
    another commit is missing nothing is."""
    unit(lake, 0, 2)
    unit(lake, 2, 4)
    objects(lake).delete(["commits/0000000001.json"])
    monkeypatch.setattr(repairing, "DEAD_AFTER", timedelta(days=-1))
    swept = sweep(lake)
    lost = {f"{swept.folder}/{each.path}" for each in swept.set_aside}
    assert lost
    assert free(lake) == []  # the last record may be on its way
    unit(lake, 4, 6)
    unit(lake, 6, 8)
    assert {each.path for each in free(lake, dry_run=True)} == lost
    record = objects(lake).read("commits/0000000000.json")
    objects(lake).delete(["commits/0000000000.json"])
    assert free(lake) == []  # numbers are missing
    assert objects(lake).create("commits/0000000000.json", record)
    assert {each.path for each in free(lake)} == lost
    assert lost.isdisjoint(keys(lake))


def test_a_damaged_shard_does_not_come_back_from_quarantine(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit(lake, 0, 2)
    unit(lake, 2, 4)
    record = objects(lake).read("commits/0000000000.json")
    objects(lake).delete(["commits/0000000000.json"])
    monkeypatch.setattr(repairing, "DEAD_AFTER", timedelta(days=-1))
    sweep(lake)
    kept = next(key for key in keys(lake, "quarantine") if "/answer/" in key)
    put(lake, kept, objects(lake).read(kept)[::-1])
    assert objects(lake).create("commits/0000000000.json", record)
    lacking = repairing.restore(lake)
    assert lacking
    assert not any(path.startswith("answer/") for path in lacking)
    assert [each.problem for each in status(lake).damaged] == ["is missing"]


def test_a_record_that_was_replaced_is_copied_again(lake: Lake) -> None:
    add_dataset(lake)
    record = json.loads(objects(lake).read("commits/0000000000.json"))
    before = [commit.hash for commit in list_commits(lake)]
    put(lake, "commits/0000000000.json", json.dumps(record).encode())
    assert [commit.hash for commit in list_commits(lake)] != before


def test_a_local_lake_that_was_copied_into_a_bucket_goes_on_there(
    lake: Lake, tmp_path: Path
) -> None:
    folder = small_lake(tmp_path / "folder")
    for path in folder.root.rglob("*"):
        if path.suffix in (".json", ".parquet"):
            objects(lake).upload(path, path.relative_to(folder.root).as_posix())
    assert without_places(contents(lake)) == without_places(contents(folder))
    add_extraction(lake, "another")
    assert follow(lake.root, objects(lake)).next == 3


# Names.


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert Lake.at(f"file://{tmp_path}/my%20lake") == Lake.at(tmp_path / "my lake")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s4://bucket/lake", r"cannot lie at s4://bucket/lake; did you mean s3"),
        ("s3:///lake", "names no bucket; write s3://bucket/prefix"),
        ("s3://bucket/model=x/lake", "as a partition"),
        ("file://elsewhere/lake", "no folder of this machine"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Lake.at(url)


def test_the_mirror_lies_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(tmp_path / "cache"))
    lake = Lake.at("s3://bucket/lake/")
    assert (str(lake), lake.name) == ("s3://bucket/lake", "lake")
    assert lake.root == mirror_folder("s3://bucket/lake")
    assert lake.root.is_relative_to(tmp_path / "cache" / "lakes")
    assert Lake.at("s3://bucket/lake") == lake
    assert Lake.at("s3://bucket/other").root != lake.root


def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(tmp_path))
    for url, extra in (("s3://bucket/lake", "s3"), ("gs://bucket/lake", "gcs")):
        with pytest.raises(LayerhouseError, match=rf"pip install 'layerhouse\[{extra}\]'"):
            connect(Lake.at(url))


@pytest.mark.slow
def test_a_removal_reaches_every_machine_and_its_space_is_freed(tmp_path: Path) -> None:
    here, there = machines(tmp_path, 2)
    add_dataset(here)
    add_extraction(here)
    before = {table: rows(there, table) for table in ("answer", "activation")}
    agent = RunWriter(there, extract_spec(more=True))
    removal = remove(here, "model", MODEL)
    assert all(rows(there, table) == [] for table in before)
    agent.commit({"answer": [answer_row("s0")]})  # of a run that nothing was removed of
    remove(here, "run", agent.run_id)
    with pytest.raises(LayerhouseError, match=f"the run {agent.run_id} was removed"):
        agent.commit({"answer": [answer_row("s1")]})
    assert [key for key in keys(here, "answer") if agent.run_id in key] == [
        shard.path for shard in take_stock(there).removed[-1].shards if shard.table == "answer"
    ]
    freed = [each.path for each in free(here)]
    assert len(freed) == sum(one.n_shards for one in removal.runs) + 2
    assert not set(freed) & set(keys(here))
    assert not any((here.root / path).exists() for path in freed)
    add_extraction(there)
    assert {table: rows(here, table) for table in before} == before
    report = status(here, verify=True)
    assert (report.damaged, report.removed, report.leftovers, report.problem) == ([], [], [], None)


def _joinable(lake: Lake, start: int, stop: int) -> RunWriter:
    writer = RunWriter(lake, extract_spec())
    for n in range(start, stop):
        covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
        tables = {"answer": [answer_row(f"s{n}")], "activation": activation_rows([f"s{n}"])}
        writer.commit(tables, covers, clashes=lambda other, n=n: other.covers["start"] == n)  # type: ignore[misc]
    return writer


@pytest.mark.slow
def test_a_compaction_reaches_every_machine_and_its_space_is_freed(tmp_path: Path) -> None:
    here, there = machines(tmp_path, 2)
    add_dataset(here, FEWEST + 4)
    other = _joinable(there, 0, 1)
    _joinable(here, 1, FEWEST)
    before = {table: rows(there, table) for table in ("answer", "activation", "run")}
    (done,) = compact(here)
    assert done.joined is not None
    assert {table: rows(there, table) for table in before} == before
    numbers = {key: objects(here).read(key) for key in keys(here, "commits")}
    freed = free(here)
    assert len(freed) == done.n_shards + FEWEST
    assert {table: rows(there, table) for table in before} == before
    spent = [key for key in numbers if objects(here).read(key) != numbers[key]]
    assert len(spent) == FEWEST
    for key in spent:  # a writer that was frozen since before it was made
        assert not objects(here).create(key, numbers[key])
    # What is joined and gone is known to who began before: it is not done twice.
    covers = {"start": 3, "stop": 4, "cells": [], "answers": ["generate"]}
    assert other.commit({"answer": [answer_row("s3")]}, covers).joined_by == done.commit_id
    _joinable(there, FEWEST, FEWEST + 2)
    assert len(rows(here, "answer")) == FEWEST + 2
    report = status(here, verify=True)
    assert (report.damaged, report.removed, report.leftovers) == ([], [], [])
    assert repair(there) == []


def test_a_clash_is_seen_in_what_was_joined_since(tmp_path: Path) -> None:
    """Another run did the same work, and its records are gone by now."""
    here, there = machines(tmp_path, 2)
    add_dataset(here, FEWEST)
    waiting = RunWriter(there, extract_spec(more=True))
    _joinable(here, 0, FEWEST)
    list(compact(here))
    free(here)
    covers = {"start": 2, "stop": 3, "cells": [], "answers": ["generate"]}
    with pytest.raises(OvertakenError, match="another machine did some of the same work"):
        waiting.commit(
            {"answer": [answer_row("s2")]}, covers, clashes=lambda one: one.covers == covers
        )
    late = RunWriter(there, extract_spec(more=True))  # which has seen it
    late.commit(
        {"answer": [answer_row("s2")]}, {"start": 99, "stop": 100, "cells": [], "answers": []}
    )


@pytest.mark.slow
def test_of_two_machines_that_join_the_same_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machines(tmp_path, 2)
    add_dataset(here, FEWEST)
    _joinable(here, 0, FEWEST)
    before = {table: rows(there, table) for table in ("answer", "activation")}
    create = Objects.create

    def overtaken(self: Objects, key: str, content: bytes) -> bool:
        monkeypatch.undo()
        assert all(one.joined for one in compact(there))
        return create(self, key, content)

    monkeypatch.setattr(Objects, "create", overtaken)
    (left,) = compact(here)
    assert left.joined is None
    assert {table: rows(here, table) for table in before} == before
    assert status(here).leftovers == []


def test_a_removal_counts_what_another_machine_commits_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record would have taken the number that the other's has."""
    here, there = machines(tmp_path, 2)
    add_dataset(here)
    add_extraction(here)
    create = Objects.create

    def overtaken(self: Objects, key: str, content: bytes) -> bool:
        monkeypatch.undo()
        RunWriter(there, extract_spec(more=True)).commit({"answer": [answer_row("s0")]})
        return create(self, key, content)

    monkeypatch.setattr(Objects, "create", overtaken)
    removal = remove(here, "model", MODEL)
    assert extract_spec(more=True).run_id in {one.facts.run_id for one in removal.runs}
    assert rows(there, "answer") == []
    assert [commit.command for commit in list_commits(there)].count("remove") == 1


def test_a_sample_that_is_removed_is_in_no_object_once_space_is_freed(tmp_path: Path) -> None:
    here, there = machines(tmp_path, 2)
    add_dataset(here)
    add_extraction(here)
    before = rows(there, "answer")
    writer = RunWriter(there, extract_spec("beta"))
    removal = remove_samples(here, "digits", ["s1"])
    assert len(removal.rewritten) == 2
    assert rows(there, "answer") == [row for row in before if row[2] != "s1"]
    with pytest.raises(LayerhouseError, match="samples of digits were removed"):
        writer.commit({"answer": [answer_row("s1", model_id="beta")]})
    assert list(still_held(there, removed_samples(there)))
    free(here)
    assert list(still_held(there, removed_samples(there))) == []
    assert rows(there, "answer") == rows(here, "answer")
    held = [path for lake in (here, there) for path in lake.root.rglob("*.parquet")]
    connect(there).close()
    free(there)
    left = [path for path in held if path.exists()]
    assert not any(
        "s1" in pq.read_table(p).column("sample_id").to_pylist()
        for p in left
        if "sample_id" in pq.read_schema(p).names
    )
