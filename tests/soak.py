"""Kill −9 at random moments, with two agents, a catalogue builder, one who joins their commits, and
a reader at work.

`python -m tests.soak --kills 200` is `make soak`; a test runs the short form. Every round begins
with a fresh lake; all are killed and started again but the reader. A round ends with the lake
compared to that of an undisturbed run, vector for vector.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from extract.datasets import add
from extract.running.extraction import ExtractRequest, extract
from extract.sharing import ledger
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.lake import compacting
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits

N_IMAGES, RANGE_SIZE = 40, 4
KILLS_A_ROUND = 20
REQUEST = ExtractRequest("tiny-digits", "pictures", answers=("likelihood",), batch_size=RANGE_SIZE)

Found = dict[tuple[Any, ...], Any]


def pictures(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (N_IMAGES, 8, 8, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        path = folder / ("left", "right")[index % 2] / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((64, 64)).save(path)


def contents(lake: Lake) -> Found:
    """Every vector and answer by its key; a row that is there twice is an error."""
    with connect(lake) as wh:
        vectors = wh.sql("SELECT module, layer, readout, sample_id, vector FROM activation")
        answers = wh.sql("SELECT 'answer', 0, method, sample_id, label_logprobs FROM answer")
        rows = [*vectors.fetchall(), *answers.fetchall()]
    found = {tuple(row[:4]): row[4] for row in rows}
    assert len(found) == len(rows), "a row was written twice"
    return found


def assert_same(one: Found, other: Found) -> None:
    assert one.keys() == other.keys(), "rows were lost or added"
    for key, values in one.items():
        np.testing.assert_allclose(values, other[key], rtol=1e-4, atol=1e-4, err_msg=str(key))


def read_until(lake: Lake, stop: Path) -> None:
    """What a reader sees is whole: every committed range in every cell, each row once."""
    while not stop.exists():
        with connect(lake) as wh:
            (held,) = wh.sql(
                "SELECT coalesce(sum(n_rows), 0) FROM shard WHERE table_name = 'activation'"
            ).fetchall()[0]
            if not held:
                continue
            seen = wh.sql(
                "SELECT count(*), count(DISTINCT (module, layer, readout, sample_id)) "
                "FROM activation"
            ).fetchall()
            assert seen == [(held, held)], (seen, held)
            cells = wh.sql(
                "SELECT DISTINCT count(*) FROM activation GROUP BY module, layer, readout"
            ).fetchall()
            assert len(cells) == 1, f"a range is there in part: {cells}"
            assert cells[0][0] % RANGE_SIZE == 0, cells


def build_until(lake: Lake, stop: Path) -> None:
    while not stop.exists():
        refresh(lake, force=True)


def compact_until(lake: Lake, stop: Path) -> None:
    while not stop.exists():
        list(compacting.compact(lake))


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a copy of this process, which has everything imported; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass
class Round:
    """One lake from nothing to complete, through some kills."""

    lake: Lake
    stop: Path
    kills: int
    longest: float
    random: random.Random
    running: dict[str, int] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)

    def run(self) -> int:
        """Returns how many processes were killed."""
        killed = 0
        work: dict[str, Callable[[], object]] = {
            "agent one": lambda: extract(self.lake, REQUEST),
            "agent two": lambda: extract(self.lake, REQUEST),
            "builder": lambda: build_until(self.lake, self.stop),
            "compactor": lambda: compact_until(self.lake, self.stop),
        }
        reader = fork(lambda: read_until(self.lake, self.stop))
        while not {"agent one", "agent two"} <= self.finished:
            for role, task in work.items():
                if role not in self.running and role not in self.finished:
                    self.running[role] = fork(task)
            time.sleep(self.random.uniform(0, self.longest) if killed < self.kills else 0.05)
            self._reap()
            if killed < self.kills and self.running:
                killed += self._kill(self.random.choice(sorted(self.running)))
        self.stop.touch()
        for pid in (reader, *self.running.values()):
            assert os.waitpid(pid, 0)[1] == 0, "a reader, builder or compactor met an error"
        return killed

    def _reap(self) -> None:
        for role, pid in list(self.running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                assert status == 0, f"{role} failed by itself"
                del self.running[role]
                self.finished.add(role)

    def _kill(self, role: str) -> int:
        """Kill one; one that ended by itself a moment before counts as no kill."""
        pid = self.running.pop(role)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            self.finished.add(role)
            return 0
        return 1


def soak(kills: int, seed: int, folder: Path) -> int:
    """Rounds until that many were killed; raises at the first thing lost, doubled or misread."""
    torch.set_num_threads(1)
    ledger.range_size = lambda *_: RANGE_SIZE  # type: ignore[assignment]
    compacting.FEWEST = 2
    pictures(folder / "pictures")
    whole = Lake.at(folder / "undisturbed")
    add(whole, "pictures", folder / "pictures")
    started = time.monotonic()
    # In a child: a process that ran torch must not be forked afterwards.
    assert os.waitpid(fork(lambda: extract(whole, REQUEST)), 0)[1] == 0
    longest = time.monotonic() - started
    expected, chance, done, number = contents(whole), random.Random(seed), 0, 0
    while done < kills:
        lake = Lake.at(folder / f"round-{number}")
        add(lake, "pictures", folder / "pictures")
        stop = folder / f"stop-{number}"
        done += Round(lake, stop, min(KILLS_A_ROUND, kills - done), longest, chance).run()
        assert_same(contents(lake), expected)
        ranges = [c.covers["start"] for c in list_commits(lake) if "start" in c.covers]
        assert sorted(ranges) == list(range(0, N_IMAGES, RANGE_SIZE)), ranges
        joined = any(commit.joined_by for commit in list_commits(lake))
        assert joined, "the compactor joined nothing"
        number += 1
        print(f"{done} of {kills} kills, {number} lakes whole", flush=True)  # noqa: T201
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak(chosen.kills, chosen.seed, Path(folder))


if __name__ == "__main__":
    main()
