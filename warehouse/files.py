"""Files that are either wholly there or not there at all."""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from warehouse.errors import LayerhouseError, UsageError

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


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a durably written file its own name, durably and at one instant."""
    temporary.replace(path)
    sync(path.parent)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file that is there durably and whole, or not at all.

    For a name that one process at a time writes to: what a killed one left is written over.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    write_durably(temporary, write)
    put_in_place(temporary, path)


def write_at_once(path: Path, write: Callable[[Path], None], *, durably: bool = False) -> None:
    """Let `write` make a file that a reader sees whole, or sees the older one of that name.

    Any number of processes may write to the name; a power cut may cost the file, unless it is
    written durably.
    """
    with _passing(path, is_folder=False) as temporary:
        write(temporary)
        if durably:
            sync(temporary)
        temporary.replace(path)
        if durably:
            sync(path.parent)


@contextmanager
def telling_unwritable(what: object) -> Iterator[None]:
    """Raise LayerhouseError where a file cannot be written that the block writes."""
    try:
        yield
    except OSError as error:
        raise LayerhouseError(f"cannot write {what}: {error.strerror or error}") from error


@contextmanager
def folder_at_once(folder: Path) -> Iterator[Path]:
    """A new folder to write into, that takes `folder`'s place when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _passing(folder, is_folder=True) as temporary:
        yield temporary
        if folder.exists():
            with _passing(folder, is_folder=True) as older:
                folder.replace(older)
                temporary.replace(folder)
        else:
            temporary.replace(folder)


@contextmanager
def passing_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` to write into, gone afterwards unless the block gave it another
    name; those of killed writers go too.
    """
    with _passing(folder, is_folder=True) as temporary:
        yield temporary


def has_writer(path: Path) -> bool:
    """Whether somebody alive writes what is to be at `path`, as the functions above do; False where
    files cannot be locked."""
    _clear_dead(path)
    for left in _passing_of(path):
        with suppress(OSError), _held(left, fcntl.LOCK_SH | fcntl.LOCK_NB, needed=True):
            continue
        if left.exists():
            return True
    return False


@contextmanager
def _passing(path: Path, *, is_folder: bool) -> Iterator[Path]:
    """A new file or folder of a passing name beside `path`, gone afterwards.

    It is locked while its writer lives: those that killed ones left for this `path` are removed.
    """
    _clear_dead(path)
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
        if is_folder:
            temporary.mkdir()
        else:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666))
        with _held(temporary, fcntl.LOCK_EX) as descriptor:
            # Another that cleared the dead away may have come between the two.
            if _has_name(descriptor, temporary):
                try:
                    yield temporary
                finally:
                    _remove(temporary)
                return


def _passing_of(path: Path) -> Iterator[Path]:
    return path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 32}{TEMPORARY}*")


def _clear_dead(path: Path) -> None:
    for left in _passing_of(path):
        with suppress(OSError), _held(left, fcntl.LOCK_EX | fcntl.LOCK_NB, needed=True):
            _remove(left)


@contextmanager
def _held(path: Path, how: int, *, needed: bool = False) -> Iterator[int]:
    """A descriptor that holds the path's lock; where files cannot be locked it only does if that
    is not `needed`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        try:
            fcntl.flock(descriptor, how)
        except OSError:
            if needed:
                raise
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`text` as UTF-8, its line ends as they are."""
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, record: Any) -> None:
    """What JSON says of something, in a file for programs and people."""
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def permit_as_usual(path: Path) -> None:
    """Let those read and write a file who could if it were made by `open`: safetensors writes for
    the owner alone, whatever the umask says (safetensors/safetensors#782).
    """
    umask = os.umask(0o077)  # there is no other way to ask
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def checksum(path: Path) -> str:
    """The file's blake2b-256 as hex."""
    digest = blake2b(digest_size=32)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def copy_file(source: Path, target: Path) -> None:
    """A file of the same bytes; where file systems share blocks (XFS, Btrfs) none is copied."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            while os.copy_file_range(read.fileno(), write.fileno(), 2**30):
                pass
        except OSError:  # which not all of them know
            read.seek(0)
            write.seek(0)
            shutil.copyfileobj(read, write)
            write.truncate()


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


def inside(root: Path, path: str) -> Path:
    """Where `path`, with forward slashes, lies below a folder that came from anywhere.

    Raises LayerhouseError where it would lie elsewhere, and where a link leads there.
    """
    found, parts = root, PurePosixPath(path).parts
    for part in parts:
        found /= part
        if part in ("/", ".."):
            raise LayerhouseError(
                f"{path} leads out of {root}, where nothing is read or written for it; name what "
                "lies in that folder"
            )
        if found.is_symlink():
            raise LayerhouseError(
                f"{found} leads out of {root}, where nothing is read or written for it; put the "
                "file or folder itself in the link's place"
            )
    return found


def refuse_own_files(root: Path, own: Collection[str], out: Path) -> None:
    """Raise UsageError where `out` lies among the files of a lake at `root`: in a folder of these
    names, or beside the catalogue under such a name."""
    try:
        first = out.resolve().relative_to(root.resolve()).parts[:1]
    except ValueError:
        return
    if not first or first[0] in own or first[0].startswith("catalog."):
        raise UsageError(f"{out} is one of the lake's own files; name another")


def open_lock(path: Path) -> int:
    """A descriptor of a file that exists to be locked; anyone who may write here may lock it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold a lock that one process at a time can; it ends with the process, however that ends.

    Gives the descriptor that holds it.
    """
    descriptor = open_lock(path)
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
