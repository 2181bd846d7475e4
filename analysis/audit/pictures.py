"""Reads every image once and keeps what an audit needs of it: a kilobyte, and a few facts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from warehouse.images import DIGITS_SCHEME, open_image, parted
from warehouse.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 32
"""Pixels along each side of the small images."""


@dataclass(frozen=True)
class Pictures:
    """All images in the order they were given in.

    `small` uint8 [n, SIDE, SIDE] is each one in grey, squeezed to a square. `facts` float64 [n] by
    name, in grey levels 0…255 of the small image: `brightness` its mean, `contrast` its standard
    deviation, `border` the mean of its outermost ring, `colour` the mean distance between the
    strongest and the weakest of red, green and blue. `file_types` are endings, without the dot.
    """

    small: NDArray[np.uint8]
    facts: dict[str, NDArray[np.float64]]
    file_types: list[str]


def read_pictures(uris: Sequence[str], progress: Progress | None = None) -> Pictures:
    """Decodes all images in threads; `progress(done, total)` is called after each.

    Raises LayerhouseError naming an image that cannot be read any more.
    """
    n = len(uris)
    small = np.empty((n, SIDE, SIDE), dtype=np.uint8)
    colour = np.empty(n)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, (grey, spread) in enumerate(pool.map(_read, uris)):
            small[index], colour[index] = grey, spread
            if progress is not None:
                progress(index + 1, n)
    inner = np.zeros((SIDE, SIDE), dtype=bool)
    inner[1:-1, 1:-1] = True
    facts = {
        "brightness": small.mean((1, 2)),
        "contrast": small.std((1, 2)),
        "border": small[:, ~inner].mean(1),
        "colour": colour,
    }
    return Pictures(small, facts, [_file_type(uri) for uri in uris])


def _read(uri: str) -> tuple[NDArray[np.uint8], float]:
    image = open_image(uri)
    channels = np.asarray(_squeezed(image), dtype=np.int16)
    return np.asarray(_squeezed(image.convert("L"))), float(np.ptp(channels, axis=2).mean())


def _squeezed(image: Image) -> Image:
    from PIL.Image import Resampling

    return image.resize((SIDE, SIDE), Resampling.BOX)


def _file_type(uri: str) -> str:
    """The ending of the file that holds the image; of an array, that of the file around it."""
    if uri.startswith(DIGITS_SCHEME):
        return "none"
    place = parted(uri)[0]
    path, _, _ = place.rpartition("#") if place.rpartition("#")[0] else (place, "", "")
    ending = PurePath(path).suffix.lower().removeprefix(".") or "none"
    return {"jpeg": "jpg", "tiff": "tif", "dicom": "dcm"}.get(ending, ending)
