"""Ctrl-C at a terminal ends a command and all that it started, in one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image

from layerhouse import cli
from warehouse.keyboard import deaf_to_the_keyboard

NAMED = ("--model", "tiny-digits", "--dataset", "own")
ENDLESS = ("--budget", "64", "--epochs", "9999", "--patience", "9999")
SHARED = (*ENDLESS, "--workers", "2", "--accumulate", "2")
STUDY = """
[extract]
workers = 2
batch-size = 1
[[model]]
model = "tiny-digits"
[[dataset]]
dataset = "own"
"""


def test_what_is_deaf_to_the_keyboard_lives_on() -> None:
    told = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    command = [sys.executable, "-S", "-c", told]
    with deaf_to_the_keyboard():
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"alive\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_ctrl_c_in_the_middle_of_a_fork_is_heard_behind_it() -> None:
    """Python calls handlers in what it does behind a fork, and drops what is raised there."""
    told: list[str] = []

    def fork() -> None:
        with deaf_to_the_keyboard():
            if not os.fork():
                os._exit(0)
            told.append("forked")

    os.register_at_fork(after_in_parent=lambda: told or os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        fork()
    assert told == ["forked"]
    os.wait()


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """A process that was begun in the background may have been told to ignore the keyboard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_query_in_the_main_thread_ends_in_the_same_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*_: object, **__: object) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        while True:
            duckdb.execute("SELECT sum(range) FROM range(20_000_000)")

    monkeypatch.setattr(cli.layerhouse, "main", command)
    with pytest.raises(SystemExit, match="130"):
        cli.main(["status"])
    assert capsys.readouterr().err.startswith("Error: stopped by the keyboard")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lake with a dataset that takes a while, one image a batch, and a study of it."""
    pixels = np.random.default_rng(0).integers(0, 255, (700, 8, 8, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        path = tmp_path / "own" / ("left", "right")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "study.toml").write_text(STUDY)
    _layerhouse(tmp_path, "datasets", "add", "own", "own").communicate()
    return tmp_path


def _layerhouse(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "layerhouse", *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "said.txt").open("w"),
        text=True,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, "LAYERHOUSE_LAKE": "lake", "OMP_NUM_THREADS": "1"},
    )


def _has_commits(folder: Path) -> bool:
    return any(path.name.startswith("extract") for path in folder.glob("lake/commits/*-0.json"))


def _has_learned(folder: Path) -> bool:
    return re.search(r"finetune: 1 at", (folder / "said.txt").read_text()) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "is_at_work"),
    [
        (("extract", *NAMED, "--workers", "2", "--batch-size", "1"), _has_commits),
        (("extract", *NAMED, "--batch-size", "1"), _has_commits),
        (("mend", *NAMED, "--stage", "connector", *SHARED), _has_learned),
        (("study", "study.toml"), _has_commits),
    ],
)
def test_ctrl_c_ends_a_command_and_all_that_it_started_in_one_line(
    folder: Path, arguments: tuple[str, ...], is_at_work: Callable[[Path], bool]
) -> None:
    if arguments[0] == "mend":
        assert _layerhouse(folder, "extract", *NAMED).wait() == 0
    running = _layerhouse(folder, *arguments)
    try:
        while not is_at_work(folder):
            assert running.poll() is None, (folder / "said.txt").read_text()
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=60) == 130
        said = [line for line in (folder / "said.txt").read_text().splitlines() if line]
        assert said[-1].startswith("Error: stopped by the keyboard")
        assert not any("Traceback" in line or "rror" in line for line in said[:-1])
        patience = time.monotonic() + 10
        while _lives(running.pid):
            assert time.monotonic() < patience, "a process was left behind"
            time.sleep(0.1)
    finally:
        if _lives(running.pid):
            os.killpg(running.pid, signal.SIGKILL)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
