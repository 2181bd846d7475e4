"""Every kind of commit of every command, lost or damaged: the same command does what is missing."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import Any

import pytest

from extract.datasets import add
from layerhouse.cli import main
from tests.soak import pictures
from tests.warehouse.small_lakes import rows_of
from warehouse.lake.commits import Commit, read_commit
from warehouse.lake.history import find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.repairing import repair
from warehouse.lake.standing import list_commits
from warehouse.schema import table_schema, tables
from warehouse.status import status

N_IMAGES = 40
MODEL, FAULTED = "tiny-digits", "tiny-digits+fault:swap@llm.2:0.5"


def _replies(path: Path, lake: Lake) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "reply"])
        for _, sample_id, *_ in rows_of(lake, "sample")["sample"]:
            writer.writerow([sample_id, sample_id.partition("/")[0]])


def _commands(folder: Path) -> dict[str, list[list[str]]]:
    """Every command that adds to a lake, by the first word of its runs, in the order of work."""
    here = ["--dataset", "pictures"]
    models = [["--model", MODEL], ["--model", FAULTED]]
    fault = [[], ["--fault", "swap@llm.2:0.5"]]
    asked = ["--layer", "-1", "--answer", "likelihood"]
    return {
        "datasets-add": [["datasets", "add", "pictures", str(folder / "pictures")]],
        "datasets-audit": [["datasets", "audit", "pictures"]],
        "extract": [["extract", *here, "--model", MODEL, *asked, *each] for each in fault],
        "answers-import": [
            ["answers", "import", str(folder / "replies.csv"), *here, "--model", MODEL]
        ],
        "probe": [["probe", *here, *each, "--seeds", "1", "--geometry"] for each in models],
        "baseline": [["baseline", *here, "--architecture", "texture-svm"]],
        "diagnose": [
            ["diagnose", *here, *each, "--resamples", "100", "--method", "likelihood"]
            for each in models
        ],
        "compare": [["compare", *here, "--model", FAULTED, "--base", MODEL, "--resamples", "100"]],
    }


def _run(lake: Path, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--lake", str(lake)])
    assert ended.value.code in (0, None), arguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("again")
    pictures(folder / "pictures")
    for name, commands in _commands(folder).items():
        if name == "answers-import":
            _replies(folder / "replies.csv", Lake.at(folder / "lake"))
        for command in commands:
            _run(folder / "lake", *command)
    return folder


OF_THE_MOMENT = {"run_id", "fit_seconds", "modified_ns"}
"""What says when, how long and by which run: of rows that several runs bring the newest counts, and
that is another once one was done again."""


def _measured(lake: Lake) -> dict[str, list[Any]]:
    """Every row of every table but of those that tell the runs, whose number grows."""
    wanted = [name for name in tables() if name not in {"run", "removed_run"}]
    found = rows_of(lake, *wanted)
    kept = {name: [c not in OF_THE_MOMENT for c in table_schema(name).names] for name in wanted}
    return {
        name: sorted(_rounded([list(compress(row, kept[name])) for row in rows]), key=repr)
        for name, rows in found.items()
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


HARMS: dict[str, Callable[[Lake, Commit], None]] = {
    "its record lost": lambda lake, commit: _record(lake, commit).unlink(),
    "its record damaged": lambda lake, commit: _flip(_record(lake, commit)),
    "a shard damaged": lambda lake, commit: _flip(lake.root / commit.shards[0].path),
    "a shard lost": lambda lake, commit: (lake.root / commit.shards[-1].path).unlink(),
}


def _record(lake: Lake, commit: Commit) -> Path:
    return lake.commits_dir / f"{commit.commit_id}.json"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS)
def test_given_again_every_command_does_exactly_what_is_missing(
    folder: Path, tmp_path: Path, harm: str
) -> None:
    kept = Lake.at(folder / "lake")
    right, faults = _measured(kept), []
    every = list_commits(kept)
    chosen = {(c.command, *(s.table for s in c.shards)): c for c in reversed(every)}
    commits = [c for c in chosen.values() if c.shards]
    assert {c.command for c in commits} >= {"extract", "probe", "baseline", "diagnose", "compare"}
    for number, commit in enumerate(commits):
        lake = Lake.at(tmp_path / str(number))
        shutil.copytree(kept.root, lake.root)
        HARMS[harm](lake, commit)
        try:
            _mend(lake, commit, folder)
            assert _measured(lake) == right
            for other in every:
                if other is not commit:
                    assert read_commit(lake, other.commit_id).shards == other.shards
            report = status(lake, verify=True)
            assert not report.damaged
            assert not report.unfinished
            assert report.problem is None
        except AssertionError as error:
            faults.append((commit.commit_id, sorted(s.table for s in commit.shards), str(error)))
        shutil.rmtree(lake.root)
    assert faults == []
    print(f"{harm}: {len(commits)} commits done again")  # noqa: T201 - figures for the note


def _mend(lake: Lake, commit: Commit, folder: Path) -> None:
    status(lake)
    with pytest.raises(SystemExit):
        main(["status", "--repair", "--lake", str(lake.root)])
    prefix = commit.command.partition("-")[0]
    for name, commands in _commands(folder).items():
        if name.partition("-")[0] == prefix or name == commit.command:
            for command in commands:
                _run(lake.root, *command)


def test_a_dataset_whose_record_was_lost_is_there_again(tmp_path: Path) -> None:
    """As above, in short: what is left of its run is its finish."""
    pictures(tmp_path / "pictures")
    lake = Lake.at(tmp_path / "lake")
    add(lake, "pictures", tmp_path / "pictures")
    right = _measured(lake)
    _record(lake, list_commits(lake)[0]).unlink()
    repair(lake)
    assert add(lake, "pictures", tmp_path / "pictures").added
    assert _measured(lake) == right
    assert [row["status"] for row in find_runs(lake)] == ["finished"]
