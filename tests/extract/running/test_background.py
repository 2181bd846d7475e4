"""Writes behind the model: prepared beside each other, committed in turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event, Lock
from typing import Any

import numpy as np
import pytest

from extract.reading import CellVectors, JoinedVectors
from extract.running import extraction
from extract.running.background import BackgroundWriter, Write, writers
from extract.running.extraction import extract
from extract.sharing import ExtractRequest, ledger
from tests.warehouse.small_lakes import (
    activation_rows,
    add_dataset,
    extract_spec,
    files,
    rows,
)
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.lake.standing import list_commits
from warehouse.vocabulary import Cell

InTurn = Callable[[], None]


def test_what_is_prepared_at_once_is_done_in_the_order_it_was_put() -> None:
    together, second_ready, done = Barrier(2, timeout=20), Event(), list[str]()

    def first(in_turn: InTurn) -> None:
        together.wait()  # both are under way
        assert second_ready.wait(20)
        in_turn()
        done.append("first")

    def second(in_turn: InTurn) -> None:
        together.wait()
        second_ready.set()
        in_turn()
        done.append("second")

    with BackgroundWriter(2) as background:
        background.put(first)
        background.put(second)
        background.flush()
        assert done == ["first", "second"]


def test_no_more_is_taken_than_there_are_threads() -> None:
    lock, alive, most = Lock(), 0, 0

    def write(in_turn: InTurn) -> None:
        nonlocal alive, most
        with lock:
            alive, most = alive + 1, max(most, alive + 1)
        in_turn()
        with lock:
            alive -= 1

    with BackgroundWriter(2) as background:
        for _ in range(50):
            background.put(write)
    assert most <= 2
    assert alive == 0


@pytest.mark.parametrize("before_its_turn", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_first_error_stops_what_comes_behind_it_and_nothing_before(
    threads: int, before_its_turn: bool
) -> None:
    done: list[int] = []

    def write(number: int) -> Write:
        def run(in_turn: InTurn) -> None:
            if number == 3 and before_its_turn:
                raise OSError("the disk is full")
            in_turn()
            if number == 3:
                raise OSError("the disk is full")
            done.append(number)

        return run

    def put_all() -> None:
        with BackgroundWriter(threads) as background:
            for number in range(10):
                background.put(write(number))

    with pytest.raises(OSError, match="the disk is full"):
        put_all()
    assert done == [0, 1, 2]


def test_an_error_of_the_model_is_not_hidden_by_one_of_a_write() -> None:
    def failing(_: InTurn) -> None:
        raise OSError("the disk is full")

    def run() -> None:
        with BackgroundWriter() as background:
            background.put(failing)
            raise ValueError("the model's own")

    with pytest.raises(ValueError, match="the model's own"):
        run()


def test_a_model_on_the_cpu_leaves_one_thread_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, beside_a_gpu in ((1, 1), (2, 1), (4, 2), (8, 3), (64, 3)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)))
        assert (writers("cpu"), writers("cuda")) == (1, beside_a_gpu)


def _batches(random: np.random.Generator, sizes: tuple[int, ...]) -> list[CellVectors]:
    places = {
        Cell("vision", 0, "grid"): (8, slice(0, 4)),
        Cell("vision", 1, "mean"): (8, slice(4, 5)),
        Cell("llm", 0, "last"): (16, slice(0, 1)),
    }
    return [
        CellVectors(
            places,
            {
                8: random.standard_normal((n, 5, 8), dtype=np.float32),
                16: random.standard_normal((n, 1, 16), dtype=np.float32),
            },
        )
        for n in sizes
    ]


def test_a_range_s_vectors_are_those_of_its_batches_in_their_order() -> None:
    random = np.random.default_rng(0)
    parts = _batches(random, (3, 1, 4))
    order = random.permutation(8)
    found = JoinedVectors(parts, order)
    assert list(found) == list(parts[0])
    for cell, values in found.items():
        expected = np.concatenate([part[cell] for part in parts])[order]
        np.testing.assert_array_equal(values, expected)
    assert not JoinedVectors([], np.arange(0))


class _StopError(Exception):
    pass


def test_a_commit_that_does_not_get_its_turn_leaves_nothing(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    before = files(lake)

    def no_turn() -> None:
        assert any(path.endswith(".tmp") for path in files(lake))  # its shards lie ready
        assert not rows(lake, "activation")
        raise _StopError

    writer = RunWriter(lake, extract_spec())
    with pytest.raises(_StopError):
        writer.commit({"activation": activation_rows(["s0"])}, in_turn=no_turn)
    assert files(lake) == before
    writer.commit({"activation": activation_rows(["s0"])}, in_turn=lambda: None)
    assert rows(lake, "activation")


def test_several_threads_write_the_lake_that_one_writes(
    lake: Lake, llava_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    other = Lake.at(shutil.copytree(lake.root, tmp_path / "other"))
    monkeypatch.setattr(ledger, "range_size", lambda *_: 2)
    found: list[list[Any]] = []
    for threads, at in ((1, lake), (3, other)):
        monkeypatch.setattr(extraction, "writers", lambda _, n=threads: n)
        extract(at, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=2))
        commits = sorted(list_commits(at), key=lambda one: one.order)
        found.append(
            [
                (one.commit_id, one.covers, [(s.path, s.rows, s.checksum) for s in one.shards])
                for one in commits
                if one.command == "extract" and one.n > 0 and not one.is_finish
            ]
        )
    assert len(found[0]) >= 6
    assert found[0] == found[1]
