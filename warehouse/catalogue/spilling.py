"""Where a query puts what does not fit into memory: a folder of this process' own, which goes with
it, and if it was killed with the next one that starts."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = "layerhouse-spilt-"
LOCK = "lock"
"""Held by the process that a folder belongs to, however it ends."""


def spill_folder() -> str:
    """A place for one connection, which DuckDB makes when it needs it.

    By default all connections would share one in the folder that a person happens to work in.
    """
    return f"{_own(os.getpid())}/{uuid.uuid4().hex}"


@cache
def _own(process: int) -> Path:
    """This process' folder; what killed ones left beside it is deleted first."""
    top = Path(tempfile.gettempdir())
    for found in top.glob(f"{PREFIX}*"):
        with suppress(OSError):
            _clear(found)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder / "new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "new").rename(folder / LOCK)  # which nobody sees before it is held
    except OSError:  # where nothing can be written, nothing is spilt
        return top / f"{PREFIX}{uuid.uuid4().hex}"
    atexit.register(_leave, folder, process)
    return folder


def _leave(folder: Path, process: int) -> None:
    if os.getpid() == process:  # and not one that it forked
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Delete a folder of this user's whose process is gone; raises OSError for any other."""
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        return
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
