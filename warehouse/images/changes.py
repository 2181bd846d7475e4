"""Images that are others than those that were registered: told by size and time, then by hash."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.images.opening import faults_named, image_sha256, open_image
from warehouse.images.uris import parted


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
    place, _ = parted(uri)
    for path in map(
        Path, filter(None, (place, place.rpartition("#")[0]))
    ):  # names may hold the sign
        if path.is_file():
            found = path.stat()
            return FileState(found.st_size, found.st_mtime_ns)
    return None


def changed_images(images: Sequence[RegisteredImage]) -> list[RegisteredImage]:
    """Those whose file holds another image now, in the order given.

    Only files of another size or time are read. What is gone, or cannot be decoded any more, is
    left to whoever opens it.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [
            image for image, other in zip(images, pool.map(_differs, images), strict=True) if other
        ]


def _differs(image: RegisteredImage) -> bool:
    now = file_state(image.uri)
    if now is None or now == image.file:
        return False
    try:
        with faults_named(image.uri):
            if image_sha256(image.uri) == image.sha256:
                return False
        open_image(image.uri)
    except LayerhouseError:
        return False
    return True
