"""Files that are either wholly there or not there at all."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Never a suffix that a glob for shards or commit records matches: DuckDB's globs see dotfiles too.
TEMPORARY = ".tmp"


def write_durably(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make the file and force it to the disk; when that fails no file is left."""
    try:
        write(path)
        sync(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a durably written file its own name, durably and at one instant."""
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, so that they outlive a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold a lock that one process at a time can; it ends with the process, however that ends.

    Gives the descriptor that holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def passing_lock(path: Path) -> Iterator[None]:
    """A file_lock whose file is gone afterwards, for a folder that belongs to others."""
    while True:
        with file_lock(path) as descriptor:
            # The holder before may have removed the file that this one waited at.
            if _has_name(descriptor, path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _has_name(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
