"""What queries spill goes with their process, or with the next one where that was killed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.catalogue import spilling
from warehouse.catalogue.reading import open_blank


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spilling._own.cache_clear()
    yield tmp_path
    spilling._own.cache_clear()


def _killed(top: Path) -> Path:
    """The folder of a process that spilt and ended without a word."""
    pid = os.fork()
    if not pid:
        spilling._own.cache_clear()
        folder = Path(spilling.spill_folder())
        folder.mkdir()
        (folder / "rows").write_bytes(b"x" * 99)
        os._exit(9)
    os.waitpid(pid, 0)
    (found,) = (path for path in top.glob("*/*/rows"))
    return found.parent.parent


def test_what_a_killed_process_spilt_goes_with_the_next(top: Path) -> None:
    killed = _killed(top)
    mine = Path(spilling.spill_folder()).parent
    assert not killed.exists()
    assert mine.is_dir()


def test_what_one_at_work_spills_stays(top: Path) -> None:
    with open_blank() as con:
        con.execute("SET memory_limit = '20MB'")
        con.execute("SET threads = 1")
        con.execute(
            "CREATE TABLE t AS SELECT range AS i, hash(range)::TEXT AS h FROM range(400000)"
        )
        assert con.execute("SELECT count(*) FROM (SELECT h FROM t ORDER BY h, i)").fetchall()
        mine = Path(spilling.spill_folder()).parent
        spilt = list(mine.iterdir())
        _killed(top)
        assert set(spilt) <= set(mine.iterdir())
    spilling._leave(mine, -1)  # a process that was forked
    assert mine.is_dir()
    spilling._leave(mine, os.getpid())
    assert not mine.exists()


def test_what_is_not_ours_is_left_alone(top: Path) -> None:
    (top / "layerhouse-spilt-other").mkdir()
    (top / "layerhouse-spilt-file").write_text("")
    (top / "kept").mkdir()
    (top / "layerhouse-spilt-link").symlink_to(top / "kept")
    spilling.spill_folder()
    assert len(list(top.iterdir())) == 5
