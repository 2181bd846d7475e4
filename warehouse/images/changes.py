"""Images that are others than those that were registered: told by size and time, then by hash."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import write_at_once
from warehouse.images.opening import faults_named, image_sha256, open_image
from warehouse.images.uris import parted

SETTLED_NS = 2 * 10**9
"""Nanoseconds after its last change from which a file's times tell whether it changes again."""
_MARK = 16


@dataclass(frozen=True)
class FileState:
    """A file as it was: its size in bytes, and nanoseconds since 1970 at its last change."""

    n_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class RegisteredImage:
    """An image as a dataset knows it; `file` is None where its state was not noted."""

    sample_id: str
    uri: str
    sha256: str
    file: FileState | None


def file_state(uri: str) -> FileState | None:
    """The state of the file that holds an image, None where there is no such file."""
    found = _stat(uri)
    return None if found is None else FileState(found.st_size, found.st_mtime_ns)


def _stat(uri: str) -> os.stat_result | None:
    place, _ = parted(uri)
    for path in map(
        Path, filter(None, (place, place.rpartition("#")[0]))
    ):  # names may hold the sign
        if path.is_file():
            return path.stat()
    return None


def changed_images(
    images: Sequence[RegisteredImage], memory: Path | None = None
) -> list[RegisteredImage]:
    """Those whose file holds another image now, in the order given.

    Only files of another size or time are read. Those that were read and hold what was registered
    are noted in `memory`, so that the same file is not read again. What is gone, or cannot be
    decoded any more, is left to whoever opens it.
    """
    known = _remembered(memory)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda image: _looked_at(image, known), images))
    new = {mark for mark in found if isinstance(mark, bytes)} - known
    if memory is not None and new:
        _remember(memory, known | new)
    return [image for image, other in zip(images, found, strict=True) if other is True]


def _looked_at(image: RegisteredImage, known: frozenset[bytes]) -> bool | bytes:
    """Whether an image is another one; the mark to remember where reading its file told that."""
    now = _stat(image.uri)
    if now is None or FileState(now.st_size, now.st_mtime_ns) == image.file:
        return False
    mark = _mark(image, now)
    if mark in known:
        return False
    is_settled = time.time_ns() - now.st_ctime_ns > SETTLED_NS
    try:
        with faults_named(image.uri):
            if image_sha256(image.uri) == image.sha256:
                return mark if is_settled else False
        open_image(image.uri)
    except LayerhouseError:
        return False
    return True


def _mark(image: RegisteredImage, file: os.stat_result) -> bytes:
    """Stands for: this very file, unchanged, holds this image.

    Nobody sets the time at which a file's entry changed, so whatever is written to the file, or
    put in its place, gives another mark, with a size and time that were set back, too.
    """
    times = file.st_size, file.st_mtime_ns, file.st_ctime_ns, file.st_ino, file.st_dev
    said = f"{image.uri}\0{image.sha256}\0{times}"
    return blake2b(said.encode(errors="surrogateescape"), digest_size=_MARK).digest()


def _remembered(memory: Path | None) -> frozenset[bytes]:
    """The marks of a memory; none where it cannot be read."""
    try:
        held = b"" if memory is None or memory.is_symlink() else memory.read_bytes()
    except OSError:
        held = b""
    return frozenset(held[at : at + _MARK] for at in range(0, len(held), _MARK))


def _remember(memory: Path, marks: frozenset[bytes]) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"".join(sorted(marks)))

    with suppress(OSError):  # where nothing may be written, files are read again
        write_at_once(memory, write)
