"""How long a person waits: eleven commands on the demo's lake, each as a process of its own.

The lake is a copy, so that nothing is there already but what the demo leaves; each command runs
several times and its shortest time counts. CPU time is of the command and what it starts.

`python -m bench.bench_commands --lake lakehouse`
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PROGRAM = (sys.executable, "-m", "layerhouse")
MODEL = ("--model", "tiny-digits", "--dataset", "digits")
STUDY = Path(__file__).parents[1] / "studies/lost-in-the-hype.toml"
NEW = "{new}"
"""Stands for a path that nothing is at yet."""

COMMANDS = {
    "help": ("--help",),
    "sql": ("sql", "SELECT * FROM mart_leaderboard"),
    "status": ("status",),
    "a typo": ("extract", "--model", "tiny-digts", "--dataset", "digits"),
    "publish": ("publish", "--out", NEW),
    "validate again": ("validate",),
    "report": ("report", "--out", f"{NEW}.html"),
    "figures": ("figures", "--out", NEW),
    "dry run of a study": ("study", str(STUDY), "--dry-run"),
    "dry run of an extraction": (
        "extract",
        *MODEL,
        "--answers-only",
        "--prompt",
        "all",
        "--dry-run",
    ),
}


@dataclass(frozen=True)
class Time:
    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, default=Path("lakehouse"), help="the demo's lake")
    parser.add_argument("--repeat", type=int, default=3, help="how often each runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="layerhouse-commands-") as folder:
        os.environ["LAKE"] = str(Path(folder) / "lakehouse")  # as the study's file asks for it
        shutil.copytree(options.lake, Path(folder) / "lakehouse")
        waits: list[tuple[str, Callable[[], None]]] = [
            (name, partial(_run, words)) for name, words in COMMANDS.items()
        ]
        waits.append(("explore, first page", _explore))
        os.chdir(folder)
        for name, wait in waits:
            best = min(_times(wait, options.repeat), key=lambda each: each.wall)
            print(f"| {name} | {best.wall:.2f} s | {best.cpu:.2f} s |", flush=True)


def _times(wait: Callable[[], None], repeat: int) -> Iterator[Time]:
    for _ in range(repeat):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        wait()
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        yield Time(wall, sum(after[:2]) - sum(before[:2]))


def _run(words: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        named = [word.replace(NEW, str(Path(folder) / "new")) for word in words]
        done = subprocess.run((*PROGRAM, *named), capture_output=True, text=True)
        if done.returncode not in (0, 2):
            sys.exit(f"{' '.join(named)}: {done.stderr}")


def _explore() -> None:
    command = (*PROGRAM, "explore", "--no-browser", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = next(word for word in server.stdout.readline().split() if "http" in word)
        with urllib.request.urlopen(address) as page:
            page.read()
        server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
