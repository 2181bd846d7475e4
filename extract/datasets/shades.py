"""Shades: which stored values of a dataset's images are black and which are white.

Images of 8 bits, and DICOM with a window of its own, say it themselves. For others the dataset has
one rule, so that equal values stay equal shades: what a person asks for, or else the smallest usual
depth that holds all values; where there is no such depth (negative values, floats), percentiles of
train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count

import numpy as np
from numpy.typing import NDArray

from extract.datasets.measuring import Measured
from extract.datasets.pixels import PixelOptions
from warehouse.errors import UsageError
from warehouse.images import (
    PIXEL_SHAPE,
    DeepPicture,
    Scale,
    between,
    faults_named,
    parted,
    picture_at,
    with_preparation,
)

DEPTHS = (8, 10, 12, 14, 15, 16)
PERCENTILES = (0.5, 99.5)
DARK = 64
"""Where no pixel of a dataset is brighter than this of 255, something is wrong with the range."""
FEW = 0.05
"""The share of images that may be dark without a word: slices at the ends of a volume are."""
FULL = (0.0, 65535.0)
"""What 16-bit pictures are opened with where their uri says nothing."""
_BINS = 2**16


@dataclass(frozen=True)
class Rule:
    """What a dataset decided about pixels.

    `shown` are the values that become black and white in images that do not say it themselves, and
    with `asked` in those that do too. `said` is all of it in words, None where nothing had to be
    decided; `notes` is what a person should read.
    """

    shown: tuple[float, float] | None = None
    asked: bool = False
    said: str | None = None
    notes: tuple[str, ...] = ()

    def uri(self, uri: str, image: Measured) -> str:
        """The uri that says how the image is opened."""
        if self.shown is None or not self.holds_for(image):
            return uri
        place, how = parted(uri)
        return with_preparation(place, replace(how, shown=self.shown))

    def levels(self, image: Measured) -> tuple[int, int]:
        """The darkest and brightest of 0…255 that the image shows."""
        if image.shown is not None and not (self.shown and self.holds_for(image)):
            return image.shown
        return self._shades(image, image.stored)

    def is_dark(self, image: Measured) -> bool:
        """Whether the dataset's range leaves the image dark but for a hundredth of its pixels."""
        return self.holds_for(image) and self._shades(image, image.mostly)[1] < DARK

    def _shades(self, image: Measured, values: tuple[float, float]) -> tuple[int, int]:
        low, high = (between(np.array(values), *(self.shown or FULL)) * 255).round()
        return (255 - int(high), 255 - int(low)) if image.is_inverted else (int(low), int(high))

    def holds_for(self, image: Measured) -> bool:
        """Whether the range of the dataset is that of the image."""
        return image.range is Scale.OPEN or (self.asked and image.range is not Scale.FIXED)


def choose(
    uris: Sequence[str], images: Sequence[Measured], splits: Sequence[str], pixels: PixelOptions
) -> Rule:
    """The rule of a dataset, for `images` measured at `uris`.

    UsageError where a range is asked for and no image needs one.
    """
    rule = Rule(asked=pixels.shown is not None)
    concerned = [n for n, image in enumerate(images) if rule.holds_for(image)]
    if rule.asked and not concerned:
        raise UsageError("--range and --window are for images of more than 8 bits; there are none")
    said, notes = _beside_the_range(images, pixels)
    if concerned:
        deep = [images[n] for n in concerned]
        train = [uris[n] for n in concerned if splits[n] == "train"]
        shown, why = _range(deep, train or [uris[n] for n in concerned], pixels)
        as_is = not rule.asked and shown == FULL and all(image.opens_as_is for image in deep)
        rule = replace(rule, shown=None if as_is else shown)
        said = [
            f"values {_number(shown[0])}…{_number(shown[1])} are shown black…white, {why}",
            *said,
        ]
        if not rule.asked and not as_is:
            notes = [_of_the_range(deep, said[0]), *notes]
    notes += _darkness(rule, images, len(concerned))
    return replace(rule, said="; ".join(said) or None, notes=tuple(notes))


def _of_the_range(images: Sequence[Measured], said: str) -> str:
    """What a person should read of values that the dataset has chosen a range for."""
    low, high = (_number(value) for value in _extremes(images))
    modes = ", ".join(sorted({image.mode for image in images}))
    return (
        f"{len(images):,} images of more than 8 bits ({modes}) hold values {low}…{high}: {said}; "
        "--range LOW,HIGH or --window CENTER,WIDTH say otherwise"
    )


def _darkness(rule: Rule, images: Sequence[Measured], n_concerned: int) -> Iterator[str]:
    """What to say where the dataset, or much of it, would be shown dark."""
    dark = sum(map(rule.is_dark, images))
    brightest = max((rule.levels(image)[1] for image in images), default=255)
    if brightest < DARK:
        is_fixed = all(image.range is Scale.FIXED for image in images)
        way_out = (
            "scale them, since 8 bits are shown as they are stored (numbers of classes are masks)"
            if is_fixed
            else "--range LOW,HIGH says which stored values are black and white"
        )
        yield (
            f"no pixel is brighter than {brightest} of 255; where that is not meant to be, "
            f"{way_out}"
        )
    elif dark > FEW * n_concerned:
        yield (
            f"{dark:,} of {n_concerned:,} images of more than 8 bits are darker than {DARK} of "
            "255 but for a hundredth of their pixels; where that is not meant to be, --range "
            "0.5%,99.5% shows what lies between these percentiles of train, LOW,HIGH any other"
        )


def _beside_the_range(
    images: Sequence[Measured], pixels: PixelOptions
) -> tuple[list[str], list[str]]:
    """What else was decided, and what a person should read of it."""
    said, notes = [], []
    kinds = Counter(image.range for image in images)
    if kinds[Scale.OWN] and pixels.shown is None:
        said.append("DICOM is shown by its own window or depth")
    if kinds[Scale.GUESSED] and pixels.shown is None:
        said.append("DICOM without a window is shown from its darkest to its brightest value")
        notes.append(
            f"{kinds[Scale.GUESSED]:,} DICOM images have no window and are shown from their own "
            "darkest to their own brightest value; --range LOW,HIGH or --window CENTER,WIDTH show "
            "all alike"
        )
    transparent = sum(image.has_transparency for image in images)
    if transparent:
        said.append(f"transparent parts lie on {pixels.background}")
        notes.append(
            f"{transparent:,} images have transparent parts, which lie on {pixels.background} "
            "(--background)"
        )
    several = sum(image.n_frames > 1 for image in images)
    if several:
        said.append(f"frame {pixels.frame} of files that hold several ({several:,} images)")
    oblong = sum(PIXEL_SHAPE in image.reading for image in images)
    if oblong:
        said.append("pixels that are not square are stretched until they are")
        notes.append(
            f"{oblong:,} images have pixels that are not square, as their files say; they are "
            "stretched along one side"
        )
    holes = sum(image.has_holes for image in images)
    if holes:
        notes.append(f"{holes:,} images have pixels that are no number, which are shown black")
    return said, notes


def _range(
    images: Sequence[Measured], uris: Sequence[str], pixels: PixelOptions
) -> tuple[tuple[float, float], str]:
    """The values that become black and white, and why; `uris` are the images of train."""
    if pixels.shown is not None and not pixels.of_train:
        return pixels.shown, "as asked for"
    low, high = _extremes(images)
    if pixels.shown is None and low >= 0:
        if all(image.is_whole for image in images):
            for depth in DEPTHS:
                if high < 2**depth:
                    return (0.0, 2.0**depth - 1), f"all of {depth} bits"
        elif high <= 1:
            return (0.0, 1.0), "as shares of 1"
    first, last = pixels.shown or PERCENTILES
    shown, outside = _percentiles(uris, (low, high), (first, last))
    return shown, f"percentiles {first:g} and {last:g} of train ({outside:.1%} lie outside)"


def _extremes(images: Sequence[Measured]) -> tuple[float, float]:
    return min(image.stored[0] for image in images), max(image.stored[1] for image in images)


def _percentiles(
    uris: Sequence[str], extremes: tuple[float, float], percentiles: tuple[float, float]
) -> tuple[tuple[float, float], float]:
    """Values at two percentiles of all pixels of `uris`, and the share of pixels outside of them.

    Whole numbers of up to 16 bits are counted each, others to 1/65536 of their range.
    """
    low, high = extremes
    is_fine = float(low).is_integer() and float(high).is_integer() and high - low < _BINS
    width = 1.0 if is_fine else (high - low) / (_BINS - 1)

    def counted(uri: str) -> NDArray[np.int64]:
        with faults_named(uri):
            picture = picture_at(uri)
            assert isinstance(picture, DeepPicture), "only deep pictures have a range to choose"
            places = ((picture.values().astype(np.float64) - low) / width).round().astype(np.int64)
            return np.bincount(places, minlength=_BINS)

    with ThreadPoolExecutor(cpu_count()) as pool:
        counts = sum(pool.map(counted, uris), start=np.zeros(_BINS, np.int64))
    below = np.cumsum(counts)
    first, last = (int(np.searchsorted(below, below[-1] * share / 100)) for share in percentiles)
    outside = 1 - counts[first : last + 1].sum() / below[-1]
    shown = tuple(float(f"{low + width * place:.6g}") for place in (first, last))
    return (shown[0], shown[1]), float(outside)


def _number(value: float) -> str:
    return f"{value:,.6g}"
