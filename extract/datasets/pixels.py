"""Pixels: every image is decoded once when a dataset is added, so that bad ones are found then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from warehouse.errors import LayerhouseError
from warehouse.images import image_sha256, open_image
from warehouse.progress import Progress


@dataclass(frozen=True)
class Measured:
    """Hash of the stored bytes, and the size in pixels of the upright image."""

    sha256: str
    width: int
    height: int


def measure(
    uris: Sequence[str], progress: Progress | None = None
) -> list[Measured | LayerhouseError]:
    """Decodes all images in threads: what was measured, or why it could not be, for each of `uris`.

    `progress(done, total)` is called after every image.
    """
    done: list[Measured | LayerhouseError] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(_measure, uris), start=1):
            done.append(result)
            if progress:
                progress(number, len(uris))
    return done


def _measure(uri: str) -> Measured | LayerhouseError:
    try:
        image = open_image(uri)
        return Measured(image_sha256(uri), image.width, image.height)
    except LayerhouseError as error:
        return error
