"""Every image is decoded once when a dataset is added, so that bad ones are found then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from extract.datasets.pixels import EVERY, MIDDLE, PixelOptions
from extract.datasets.source import Item
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import (
    MODALITY_TABLE,
    PIXEL_SHAPE,
    DeepPicture,
    FileState,
    Picture,
    Preparation,
    Scale,
    SeveralFramesError,
    faults_named,
    file_state,
    image_sha256,
    is_dicom,
    parted,
    picture_at,
    with_preparation,
)
from warehouse.progress import Progress


@dataclass(frozen=True)
class Measured:
    """What is known of one image.

    `sha256` is the hash of the stored bytes, `width` and `height` are those of the upright image.
    `mode` says in words how it is stored, `stored` its lowest and highest value there, `mostly` the
    two between which all but a hundredth at each end lie; `shown` is the darkest and brightest of
    the 8-bit image, None where the dataset decides what is black and white (`range` says who does).
    `reading` is what earlier versions did not do to such an image. `is_whole` tells
    whether its values are whole numbers, `opens_as_is` whether a uri without a range is enough.
    `file` is the state of the file that holds it.
    """

    sha256: str
    width: int
    height: int
    mode: str = ""
    stored: tuple[float, float] = (0, 255)
    shown: tuple[int, int] | None = None
    range: Scale = Scale.FIXED
    reading: str = ""
    is_whole: bool = True
    is_inverted: bool = False
    opens_as_is: bool = False
    has_holes: bool = False
    has_transparency: bool = False
    n_frames: int = 1
    mostly: tuple[float, float] = (0, 255)
    file: FileState | None = None


_ALWAYS_PLAIN = (".jpg", ".jpeg", ".bmp")
"""Pictures that have neither transparency nor depth nor frames."""

Result = tuple[Item, Measured | LayerhouseError]
"""An image, its uri complete but for a range that the dataset has to choose, and what is known."""


def measure(
    items: Sequence[Item], pixels: PixelOptions, progress: Progress | None = None
) -> list[Result]:
    """Decodes all images in threads: what was measured, or why it could not be, in their order.

    An image of several frames becomes those that `pixels` asks for. `progress(done, total)` is
    called after every image. UsageError where frames are asked for and no image has several.
    """
    done: list[Result] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda item: list(_measured(item, pixels)), items)
        for number, found in enumerate(results, start=1):
            done += found
            if progress:
                progress(number, len(items))
    if pixels.frame and not any(_has_several(result) for _, result in done):
        raise UsageError(f"--frame {pixels.frame}: no image has several frames or pages")
    return done


def _has_several(result: Measured | LayerhouseError) -> bool:
    return not isinstance(result, Measured) or result.n_frames > 1


def _measured(item: Item, pixels: PixelOptions) -> Iterator[Result]:
    if parted(item.uri)[0] != item.uri and Path(item.uri).is_file():
        ending = Path(item.uri).name.removeprefix(Path(parted(item.uri)[0]).name)
        fault = f"{item.uri} ends in {ending}, which says how a file is opened; rename it"
        yield item, LayerhouseError(fault)
        return
    try:
        yield _one(item, Preparation(), pixels)
    except SeveralFramesError as several:
        if pixels.frame is None:
            yield item, several
            return
        for number in _numbers(pixels.frame, several.n_frames):
            of_frame = item
            if pixels.frame == EVERY:
                digits = len(str(several.n_frames))
                name = f"{item.sample_id}#frame-{number:0{digits}d}"
                of_frame = replace(item, sample_id=name, group_id=item.group_id or item.sample_id)
            try:
                found, measured = _one(of_frame, Preparation(frame=number), pixels)
                yield found, replace(measured, n_frames=several.n_frames)
            except LayerhouseError as error:
                yield of_frame, error
    except LayerhouseError as error:
        yield item, error


def _numbers(frame: str, n_frames: int) -> Sequence[int]:
    if frame == EVERY:
        return range(1, n_frames + 1)
    return [(n_frames + 1) // 2 if frame == MIDDLE else int(frame)]


def _one(item: Item, how: Preparation, pixels: PixelOptions) -> tuple[Item, Measured]:
    """The image with its whole uri but for a range, and what is known of it."""
    uri = with_preparation(item.uri, how)
    file = file_state(uri)  # before it is read: what changes meanwhile is found later
    with faults_named(uri):
        picture = picture_at(uri)
        if picture.has_transparency:
            how = replace(how, background=pixels.background)
            uri = with_preparation(item.uri, how)
        known = _known_of(picture, how, uri, is_asked=pixels.shown is not None)
        return replace(item, uri=uri), replace(known, file=file)


def _known_of(picture: Picture, how: Preparation, uri: str, *, is_asked: bool) -> Measured:
    """What is known of a picture; where a range is asked for, its own need not be shown."""
    width, height = picture.size
    shown = None
    if picture.range is Scale.FIXED or (picture.range is not Scale.OPEN and not is_asked):
        levels = np.reshape(picture.rgb(how).getextrema(), -1)
        shown = int(levels.min()), int(levels.max())
    measured = Measured(
        image_sha256(uri),
        width,
        height,
        picture.mode,
        picture.extremes(),
        shown,
        picture.range,
        picture.reading,
        has_transparency=picture.has_transparency,
    )
    if not isinstance(picture, DeepPicture):
        return measured
    return replace(
        measured,
        mostly=_mostly(picture.values()),
        is_whole=picture.stored.dtype.kind in "iu",
        is_inverted=picture.inverted,
        opens_as_is=picture.usual is not None,
        has_holes=picture.has_holes,
    )


_SAMPLED = 2**16


def _mostly(values: np.ndarray) -> tuple[float, float]:
    """Percentiles 1 and 99 of values [n]; of many pixels a part, spread evenly, tells."""
    low, high = np.percentile(values[:: -(-values.size // _SAMPLED)], (1, 99))
    return float(low), float(high)


_SINCE = {PIXEL_SHAPE: 3, MODALITY_TABLE: 4}
"""The `READING` that came with what is new of an image's; 2 with all that is not listed."""


def read_otherwise(uris: Sequence[str], noted: int) -> dict[str, str]:
    """The images that an earlier version read otherwise, each with what is new about its reading.

    `noted` is the `READING` that it noted. Images that cannot be read at all are left to those who
    read them.
    """
    doubtful = [uri for uri in uris if _is_doubtful(uri, noted)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(doubtful, pool.map(_new_reading, doubtful), strict=True))
    newer = {uri: _newer(reading, noted) for uri, reading in found.items()}
    return {uri: reading for uri, reading in newer.items() if reading}


def _newer(reading: str, noted: int) -> str:
    """What of an image's reading came after the `READING` that was noted."""
    return ", ".join(part for part in reading.split(", ") if _SINCE.get(part, 2) > noted)


def _is_doubtful(uri: str, noted: int) -> bool:
    """Whether an image may be read otherwise now; since 2, only volumes and DICOM."""
    place, _ = parted(uri)
    if uri.lower().endswith(_ALWAYS_PLAIN):
        return False
    is_volume = place.lower().endswith((".nii", ".nii.gz"))
    return noted < 2 or not Path(place).is_file() or is_volume or is_dicom(place)


def _new_reading(uri: str) -> str:
    try:
        with faults_named(uri):
            return picture_at(uri).reading
    except SeveralFramesError:
        return "several frames"
    except LayerhouseError:
        return ""
