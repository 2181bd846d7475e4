"""Results are written whole or not at all, and what killed writers left is cleared away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from warehouse.files import folder_at_once, write_at_once

DEAD = f".out.csv.{'0' * 32}.tmp"


def _killed_while_writing(path: Path) -> None:
    """A process that dies in the middle, as kill -9 has it."""
    pid = os.fork()
    if not pid:

        def write(temporary: Path) -> None:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        write_at_once(path, write)
    os.waitpid(pid, 0)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("older")
    _killed_while_writing(out)
    assert out.read_text() == "older"
    assert len(_names(tmp_path)) == 2
    write_at_once(out, lambda path: path.write_text("new") and None)
    assert _names(tmp_path) == ["out.csv"]
    assert out.read_text() == "new"


def test_what_a_living_writer_is_at_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    def write(temporary: Path) -> None:
        write_at_once(out, lambda other: other.write_text("first") and None)
        assert temporary.exists()
        temporary.write_text("second")

    write_at_once(out, write)
    assert (out.read_text(), _names(tmp_path)) == ("second", ["out.csv"])


def test_nothing_of_a_person_is_cleared_away(tmp_path: Path) -> None:
    out = tmp_path / "out[1].csv"
    mine = ["out[1].csv.tmp", ".out[1].csv.tmp", f".out1.csv.{'0' * 32}.tmp", DEAD]
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / f".out[1].csv.{'1' * 32}.tmp").symlink_to(tmp_path / DEAD)
    write_at_once(out, lambda path: path.write_text("new") and None)
    assert {*mine, "out[1].csv"} <= set(_names(tmp_path))
    assert (tmp_path / DEAD).read_text() == "mine"


def test_a_pipe_of_such_a_name_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / DEAD)
    write_at_once(tmp_path / "out.csv", lambda path: path.write_text("new") and None)


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        write_at_once(tmp_path / "out.csv", fail)
    assert _names(tmp_path) == []


def test_a_folder_takes_the_place_of_an_older_one_at_once(tmp_path: Path) -> None:
    out = tmp_path / "docs"
    for text in ("older", "new"):
        with folder_at_once(out) as folder:
            (folder / "page").write_text(text)
            if text == "new":
                assert (out / "page").read_text() == "older"
    assert ((out / "page").read_text(), _names(tmp_path)) == ("new", ["docs"])
    with pytest.raises(FileNotFoundError), folder_at_once(out) as folder:
        (folder / "no folder" / "page").write_text("half")
    dead = tmp_path / f".docs.{'0' * 32}.tmp"
    dead.mkdir()
    (dead / "page").write_text("half")
    with folder_at_once(out) as folder:
        (folder / "page").write_text("newest")
    assert ((out / "page").read_text(), _names(tmp_path)) == ("newest", ["docs"])
