"""Kills and full disks at every step of every command that writes.

`python -m tests.faults` is part of `make soak`; tests run some of the steps. A step is a file of
the lake or of a result that is opened for writing, made durable, renamed, or a folder that is made.
Each is tried in a copy of the process, on a copy of a lake: the process dies there as by kill −9,
or the disk is full from there on. Besides, no file may grow beyond so many bytes, which stops also
what DuckDB and Arrow write. Afterwards a reader must see a whole lake, a full disk must have been
told in one sentence, and the command given again must end as it does undisturbed.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extract.datasets import add
from extract.running.extraction import ExtractRequest, extract
from layerhouse.cli import main
from tests.analysis.activation_lake import add_activations, dataset_lake, drawn, labels_and_splits
from tests.lakes import Signals, synthetic_lake
from tests.soak import fork, pictures
from tests.warehouse.small_lakes import (
    MODEL,
    activation_rows,
    add_dataset,
    answer_row,
    extract_spec,
)
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.lake import Lake
from warehouse.lake.removing_samples import remove_samples
from warehouse.lake.runs import RunWriter
from warehouse.schema import table_schema
from warehouse.status import status

KILL, FULL = "kill", "disk full"
N_SMALL = FEWEST + 1
SIZES = (2_000, 20_000, 200_000)
"""The bytes that a file may not grow beyond, in turn; what a command says fits into any of them."""

WRITING = os.O_WRONLY | os.O_RDWR
OF_RUNS = ("run_id", "started_at", "finished_at", "device", "versions", "fit_seconds", "seconds")


@dataclass(frozen=True)
class Command:
    """One command, the lake it is given on, and the tables that say what it did.

    `{out}` in its arguments is a folder for results, `{pictures}` one of images, `{answers}` a file
    of answers, `{states}` one of states. What sees to the lake's files (`tidies`) must end with the
    same, and what mends a lake (`mends`) begins with damage. Of very many steps one in `sparsely`
    is tried.
    """

    arguments: tuple[str, ...]
    lake: str
    tables: tuple[str, ...] = ()
    tidies: bool = False
    mends: bool = False
    sparsely: int = 1


ABOUT = ("--model", "alpha", "--dataset", "shapes")
FEW = ("--resamples", "100")
FOREIGN = ("--model", "gpt-x", "--dataset", "digits", "--title", "GPT-X")
SHORT = ("--limit", "8", "--answer", "likelihood", "--batch-size", "4", "--device", "cpu")
REPAIR = ("--stage", "connector", "--epochs", "2", "--device", "cpu")
READ = ("--readout", "mean", "--readout", "last", "--readout", "tokens")
COMMANDS = {
    "probe": Command(
        ("probe", "--model", "tiny", "--dataset", "shapes", "--seeds", "1"),
        "activations",
        ("probe", "probe_logit"),
    ),
    "baseline": Command(
        ("baseline", "--dataset", "pictures", "--architecture", "texture-svm"),
        "pictured",
        ("baseline", "baseline_logit"),
    ),
    "datasets": Command(("datasets", "add", "more", "{pictures}"), "pictured", ("sample",)),
    "unite": Command(
        ("datasets", "audit", "pictures", "--unite", "--into", "united"),
        "pictured",
        ("image_fact", "sample"),
    ),
    "audit": Command(("datasets", "audit", "pictures"), "pictured", ("image_fact",)),
    "diagnose": Command(
        ("diagnose", *ABOUT, *FEW), "probed", ("stage_interval", "health_interval")
    ),
    "compare": Command(
        ("compare", "--model", "alpha", "--base", "beta", "--dataset", "shapes", *FEW),
        "probed",
        ("pair_interval",),
    ),
    "remove": Command(("models", "remove", "beta", "--with-dependents"), "probed", ("model",)),
    "datasets-remove": Command(
        ("datasets", "remove", "digits", "--with-dependents"), "small", ("dataset", "answer")
    ),
    "samples-remove": Command(
        ("datasets", "remove", "digits", "--sample", "s1", "--with-dependents"),
        "small",
        ("dataset", "sample", "answer", "activation", "removed_sample"),
    ),
    "runs-remove": Command(("runs", "remove", extract_spec().run_id), "small", ("answer",)),
    "compact": Command(("compact",), "small", ("answer", "activation", "commit_record"), True),
    "free": Command(("status", "--free"), "joined", ("answer", "activation"), True),
    "free-samples": Command(
        ("status", "--free"), "withdrawn", ("answer", "activation"), tidies=True
    ),
    "repair": Command(
        ("status", "--repair"), "damaged", ("answer", "activation"), tidies=True, mends=True
    ),
    "import": Command(
        ("answers", "import", "{answers}", *FOREIGN),
        "small",
        ("answer", "model"),
    ),
    "reparse": Command(("answers", "reparse"), "small", ("answer",)),
    "export": Command(
        ("answers", "export", "--model", MODEL, "--dataset", "digits", "--out", "{out}/a.csv"),
        "small",
    ),
    "states-export": Command(
        ("export", "--model", "tiny", "--dataset", "shapes", "--out", "{out}/states"), "activations"
    ),
    "states-import": Command(
        ("import", "{states}", "--model", "friend", "--dataset", "digits"),
        "small",
        ("activation", "model", "layer"),
    ),
    "delta": Command(("delta", "--table", "answer", "--table", "run"), "small", ("answer",)),
    "extract": Command(
        ("extract", "--model", "tiny-digits", "--dataset", "pictures", *SHORT, *READ),
        "pictured",
        ("answer", "activation", "token_activation", "logit_lens", "model", "layer"),
    ),
    "retry": Command(
        ("extract", "--model", "tiny-digits", "--dataset", "pictures", *SHORT),
        "rejected",
        ("answer", "activation"),
    ),
    "mend": Command(
        ("mend", "--model", "tiny-digits", "--dataset", "pictures", *REPAIR, "--out", "{out}/m"),
        "answered",
        ("mend", "answer", "pair_interval"),
        sparsely=3,
    ),
    "publish": Command(("publish", "--out", "{out}/marts"), "probed"),
    # Most of its steps are pages that Great Expectations writes, several for every suite.
    "validate": Command(("validate", "--data-docs", "{out}/docs"), "probed", sparsely=19),
    "report": Command(("report", "--images", "0", "--out", "{out}/report.html"), "probed"),
    "figures": Command(
        (
            *["figures", "--format", "svg", "--only", "overview", "--table", "csv", "--out"],
            "{out}/figures",
        ),
        "probed",
    ),
    "sql": Command(("sql", "FROM sample", "--format", "parquet", "--out", "{out}/a"), "probed"),
}


def make_lakes(folder: Path, wanted: Collection[str]) -> dict[str, Lake]:
    """The lakes that commands are tried on, their catalogues built; one takes an extraction, and is
    made where it is wanted."""
    models = {"alpha": Signals.losing(llm=0.3), "beta": Signals()}
    probed = synthetic_lake(folder / "probed", models, n_samples=60)
    classes, splits = labels_and_splits(60, 2)
    activations = dataset_lake(folder / "activations", classes, splits)
    places = (("vision", 0, "mean"), ("llm", 0, "last"))
    add_activations(activations, {place: drawn(classes, 4, 0) for place in places}, model_id="tiny")
    pictures(folder / "pictures")
    shutil.copy(folder / "pictures/left/02.png", folder / "pictures/left/98.png")  # to be united
    pictured = Lake.at(folder / "pictured")
    add(pictured, "pictures", folder / "pictures")
    lakes = {"probed": probed, "activations": activations, "pictured": pictured}
    lakes["small"] = _small(folder / "small")
    for lake in lakes.values():
        refresh(lake)
    for name, change in (("joined", _join), ("damaged", _damage), ("withdrawn", _withdraw)):
        lakes[name] = Lake.at(shutil.copytree(lakes["small"].root, folder / name))
        change(lakes[name])
    if "answered" in wanted:
        lakes["answered"] = Lake.at(shutil.copytree(pictured.root, folder / "answered"))
        _extract(lakes["answered"])
    if "rejected" in wanted:
        lakes["rejected"] = Lake.at(shutil.copytree(pictured.root, folder / "rejected"))
        _reject(lakes["rejected"], folder / "pictures" / "left" / "00.png")
    _write_states(folder / "states")
    with (folder / "answers.jsonl").open("w") as file:
        for n in range(N_SMALL):
            print(json.dumps({"sample_id": f"s{n}", "reply": "It is zero."}), file=file)
    return lakes


def _small(folder: Path) -> Lake:
    """A run of many small commits, its replies read as another class than they name."""
    lake = Lake.at(folder)
    add_dataset(lake, N_SMALL)
    writer = RunWriter(lake, extract_spec())
    for n in range(N_SMALL):
        answers = [{**answer_row(f"s{n}"), "raw_text": "It is a zero.", "text": "It is a zero."}]
        tables = {"answer": answers, "activation": activation_rows([f"s{n}"])}
        if n == 0:
            name, variant = MODEL.split("+")
            unknown = dict.fromkeys(set(table_schema("model").names) - {"run_id"})
            known = {"model_id": MODEL, "name": name, "variant": variant}
            tables["model"] = [{**unknown, **known}]
        covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
        writer.commit(tables, covers)
    writer.finish()
    return lake


def _write_states(folder: Path) -> None:
    """What another program took of the samples of the small lake."""
    folder.mkdir()
    np.save(folder / "last.npy", np.eye(N_SMALL, 8, dtype=np.float32))
    loci = [{"module": "llm", "layer": 0, "readout": "last", "file": "last.npy"}]
    said = {"samples": [f"s{n}" for n in range(N_SMALL)], "loci": loci}
    (folder / "manifest.json").write_text(json.dumps(said))


def _join(lake: Lake) -> None:
    assert any(one.joined for one in compact(lake))


def _withdraw(lake: Lake) -> None:
    remove_samples(lake, "digits", ["s1"])


def _reject(lake: Lake, image: Path) -> None:
    """An extraction that one image was not ready for, which any other tries again."""
    sound = image.read_bytes()
    image.write_bytes(b"not an image yet")
    _extract(lake, limit=8, answers=("generate",), max_new_tokens=2)
    image.write_bytes(sound)


def _extract(lake: Lake, **asked: Any) -> None:
    """In a child: a process that ran torch must not be forked afterwards."""
    request = ExtractRequest("tiny-digits", "pictures", device="cpu", **asked)
    assert os.waitpid(fork(lambda: extract(lake, request)), 0)[1] == 0


def _damage(lake: Lake) -> None:
    """A shard that is cut, one that is gone, a record that is, and a shard that no commit names."""
    run = extract_spec().run_id
    (cut,) = lake.root.glob(f"answer/*/*/part-{run}-2.parquet")
    os.truncate(cut, cut.stat().st_size - 9)
    next(lake.root.glob(f"activation/*/*/*/part-{run}-4.parquet")).unlink()
    (lake.commits_dir / f"{run}-6.json").write_bytes(b"{")
    shutil.copy(
        next(lake.root.glob(f"answer/*/*/part-{run}-0.parquet")), cut.with_name("part-x-0.parquet")
    )


@dataclass
class Trial:
    """A command on a lake of its own, disturbed at one step."""

    command: Command
    folder: Path

    @classmethod
    def of(cls, name: str, lakes: dict[str, Lake], folder: Path) -> Trial:
        command = COMMANDS[name]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(lakes[command.lake].root, folder / "lake")
        (folder / "out").mkdir()
        return cls(command, folder)

    @property
    def lake(self) -> Lake:
        return Lake.at(self.folder / "lake")

    def run(self, fault: str | None = None, step: int = 0, size: int | None = None) -> int:
        """The command in a process of its own; its exit code, −9 where it was killed.

        What it says goes to files beside the lake.
        """
        pid = os.fork()
        if not pid:
            self._become(fault, step, size)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _become(self, fault: str | None, step: int, size: int | None) -> None:
        code = 70
        try:
            for name, descriptor in (("said.txt", 1), ("errors.txt", 2)):
                target = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(target, descriptor)
            _disturb(self.folder, fault, step)
            if size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            shared = self.folder.parent
            places = {"out": self.folder / "out", "pictures": shared / "pictures"}
            places["answers"], places["states"] = shared / "answers.jsonl", shared / "states"
            arguments = [each.format(**places) for each in self.command.arguments]
            main([*arguments, "--lake", str(self.lake.root)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            sys.stdout.flush()
            sys.stderr.flush()
            (self.folder / "steps.txt").write_text(str(_STEPS["taken"]))
            (self.folder / "modules.txt").write_text("\n".join(sys.modules))
            os._exit(code)

    @property
    def steps(self) -> int:
        """How many the last run took."""
        return int((self.folder / "steps.txt").read_text())

    def import_alike(self) -> None:
        """Import here what the last run imported, so that no other pays for it."""
        for name in (self.folder / "modules.txt").read_text().splitlines():
            with suppress(Exception):
                importlib.import_module(name)

    @property
    def said(self) -> str:
        """What `status` has to say of a lake it says where it says all."""
        return (self.folder / "said.txt").read_text()

    @property
    def errors(self) -> str:
        return (self.folder / "errors.txt").read_text()

    def outcome(self) -> dict[str, Any]:
        """What the command did, without what differs between two runs of it."""
        found: dict[str, Any] = {}
        with connect(self.lake) as wh:
            for table in self.command.tables:
                kept = f"SELECT COLUMNS(lambda c: c NOT IN {OF_RUNS}) FROM {table}"
                found[table] = [
                    [round(cell, 6) if isinstance(cell, float) else cell for cell in row]
                    for row in wh.sql(f"{kept} ORDER BY ALL").fetchall()
                ]
        if self.command.tidies:
            found["lake"] = sorted(
                path.name
                for path in self.lake.root.rglob("*")
                if path.suffix == ".parquet" or path.parent == self.lake.commits_dir
            )
        out = self.folder / "out"
        found["files"] = sorted(
            path.relative_to(out).as_posix()
            for path in out.rglob("*")
            if path.is_file() and "validations" not in path.parts and path.suffix != ".lock"
        )
        return found


_STEPS: Counter[str] = Counter()


def _disturb(folder: Path, fault: str | None, at: int) -> None:
    """Count the steps of this process and, from number `at` on, fail or die. For good."""
    _STEPS.clear()
    mine = os.fspath(folder)

    def step(place: str, told: str | None) -> None:
        """`told` is the file that the system names where it refuses one; of a descriptor none."""
        if place.startswith(mine):
            number = _STEPS["taken"]
            _STEPS["taken"] += 1
            if fault == KILL and number == at:
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == FULL and number >= at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), told)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        name = os.fsdecode(arguments[0]) if event == "open" and _is_text(arguments[0]) else ""
        if name.endswith(("steps.txt", "modules.txt", ".lock", "/lock")):
            return
        writes = (event == "open" and arguments[2] & WRITING) or event in ("os.rename", "os.mkdir")
        if writes and not isinstance(arguments[0], int):
            place = os.fsdecode(arguments[0])
            step(place, place)

    sync = os.fsync

    def syncing(descriptor: int) -> None:
        step(str(Path(f"/proc/self/fd/{descriptor}").readlink()), None)
        sync(descriptor)

    os.fsync = syncing
    sys.addaudithook(watch)


def _is_text(value: object) -> bool:
    return isinstance(value, (str, bytes))


def check_whole(trial: Trial, fault: str, code: int) -> None:
    """Raise AssertionError unless readers see a whole lake and a full disk was told."""
    if not trial.command.mends:
        found = status(trial.lake, verify=True)
        assert not found.damaged, found.damaged
        with connect(trial.lake) as wh:
            wh.sql("SELECT count(*) FROM run").fetchall()
    if fault == KILL:
        assert code in (-signal.SIGKILL, 0), (code, trial.errors)
        return
    assert code in (0, 1), (code, trial.errors)
    if code:
        assert "nexpected failure" not in trial.errors, trial.errors
        assert "Traceback" not in trial.errors, trial.errors
        told = trial.errors.splitlines() + trial.said.splitlines()
        lines = [line for line in told if line.startswith(("Error: ", "Problem: "))]
        assert len(lines) == 1, told


def check_given_again(trial: Trial, undisturbed: dict[str, Any]) -> None:
    """Raise AssertionError unless the same command ends well now, and as it does undisturbed."""
    assert trial.run() == 0, trial.errors
    assert trial.outcome() == undisturbed
    assert not status(trial.lake, verify=True).damaged


def attempts(steps: int) -> Iterator[tuple[str, int, int | None]]:
    """Every fault that a command of so many steps can meet: its kind, its step, the bytes left."""
    for step in range(steps):
        yield KILL, step, None
        yield FULL, step, None
    for size in SIZES:
        yield FULL, sys.maxsize, size


def try_command(
    name: str, lakes: dict[str, Lake], folder: Path, every: int = 1
) -> Counter[tuple[str, int]]:
    """Faults at one in `every` steps of a command, fewer where it is tried sparsely; how often each
    kind ended with which code."""
    plain = Trial.of(name, lakes, folder / "plain")
    usual = plain.run("none")
    assert usual == 0, (usual, plain.errors)
    steps, undisturbed = plain.steps, plain.outcome()
    plain.import_alike()
    ended: Counter[tuple[str, int]] = Counter()
    for fault, step, size in [*attempts(steps)][:: every * plain.command.sparsely]:
        trial = Trial.of(name, lakes, folder / "trial")
        code = trial.run(fault, step, size)
        try:
            check_whole(trial, fault, code)
            check_given_again(trial, undisturbed)
        except Exception as error:
            at = f"file size {size}" if size is not None else f"step {step} of {steps}"
            raise AssertionError(f"{name}, {fault} at {at}: {error}") from error
        ended[fault, code] += 1
    return ended


def soak(names: Sequence[str], folder: Path, every: int = 1) -> None:
    np.seterr(all="ignore")
    lakes = make_lakes(folder, {COMMANDS[name].lake for name in names})
    for name in names:
        started = time.monotonic()
        ended = try_command(name, lakes, folder, every)
        told = ", ".join(f"{n} {fault} → {code}" for (fault, code), n in sorted(ended.items()))
        print(f"{name}: {told}; {time.monotonic() - started:,.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--every", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        soak(chosen.commands, Path(place), chosen.every)
