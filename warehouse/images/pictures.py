"""What a file holds before it becomes 8-bit RGB, and how it becomes so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError
from warehouse.images.uris import Preparation

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs: 256 MiB of RGB

ALMOST_SQUARE = 0.01
"""By how much height and width of a pixel may differ before a picture is stretched."""
LONGEST = 20
"""How many times as long as wide a pixel may be."""


class Scale(StrEnum):
    """Who says which stored values are black and white."""

    FIXED = "fixed"  # the encoding: 8 bits, colour of a known depth
    OWN = "own"  # the picture: a DICOM window or lookup table
    GUESSED = "guessed"  # nobody: it is shown from its darkest to its brightest value
    OPEN = "open"  # the dataset that it belongs to


class SeveralFramesError(LayerhouseError):
    """A file of several pictures was opened without saying which."""

    def __init__(self, name: str, n_frames: int, what: str) -> None:
        super().__init__(
            f"{name} holds {n_frames} {what}, and one picture is needed; say which: "
            "`datasets add … --frame N`, `--frame middle` or `--frame all`"
        )
        self.n_frames = n_frames


def frame_index(name: str, frame: int | None, n_frames: int, what: str = "frames") -> int:
    """The index from 0 of the frame that is meant; an error where it is not there or not said."""
    if frame is None:
        if n_frames > 1:
            raise SeveralFramesError(name, n_frames, what)
        return 0
    if not 1 <= frame <= n_frames:
        raise LayerhouseError(f"{name} has no frame {frame}; it holds {n_frames} {what}")
    return frame - 1


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """LayerhouseError for a picture of no pixels or of more than `max_pixels`."""
    if not width or not height:
        raise LayerhouseError(f"{name} has {width} × {height} pixels: there is nothing to see")
    if width * height > max_pixels:
        raise LayerhouseError(
            f"{name} has {width} × {height} pixels, more than the limit of {max_pixels:,}; "
            "scale it down"
        )


@dataclass(frozen=True)
class Picture(ABC):
    """One picture as it is stored.

    `mode` says in words what it is. `reading` names what is done to it that earlier versions did
    not do: it is part of a dataset's identity, so that a picture which is read otherwise than it
    once was counts as another. `range` tells who says what is black and white. `squared` is the
    size at which its pixels are square, None where they are.
    """

    name: str
    mode: str
    reading: str = ""
    range: Scale = Scale.FIXED
    squared: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as it is shown."""
        return self.squared or self._stored_size

    def rgb(self, how: Preparation) -> Image:
        """The picture as 8-bit RGB."""
        from PIL.Image import Resampling

        image = self._rgb(how)
        return image if self.squared is None else image.resize(self.squared, Resampling.BILINEAR)

    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """The lowest and highest of the stored values that mean something."""

    @property
    @abstractmethod
    def _stored_size(self) -> tuple[int, int]: ...

    @abstractmethod
    def _rgb(self, how: Preparation) -> Image: ...

    @property
    @abstractmethod
    def has_transparency(self) -> bool:
        """Whether something of the background is seen."""


@dataclass(frozen=True)
class FlatPicture(Picture):
    """A picture of at most 8 bits a channel, as Pillow holds it."""

    image: Any = None

    @property
    def _stored_size(self) -> tuple[int, int]:
        return self.image.width, self.image.height

    def extremes(self) -> tuple[float, float]:
        import numpy as np

        plain = self.image.convert("RGB") if self.image.mode == "P" else self.image
        found = np.reshape(plain.getextrema(), (-1, 2))
        colours = [band not in ("A", "a") for band in plain.getbands()]
        return float(found[colours, 0].min()), float(found[colours, 1].max())

    @property
    def has_transparency(self) -> bool:
        return self._with_alpha is not None

    @property
    def _with_alpha(self) -> Any:
        """The picture with its alpha channel; None where all of it is opaque."""
        if not self.image.has_transparency_data:
            return None
        found = self.image.convert("RGBA")
        return found if found.getextrema()[3][0] < 255 else None

    def _rgb(self, how: Preparation) -> Image:
        with_alpha = self._with_alpha
        plain: Image = self.image.convert("RGB")
        return plain if with_alpha is None else laid(with_alpha, how)


@dataclass(frozen=True)
class DeepPicture(Picture):
    """A picture of more than 8 bits a channel: some value has to be black, some white.

    `stored` is [h, w] or [h, w, 3] of any number type. `usual` turns it into shades 0…1 where no
    range is asked for; it, or what it gives, is None where nothing is known of it. `inverted`
    pictures are dark where values are high. `alpha` [h, w] is 0…255; `padding` [h, w] is True where
    a value means nothing.
    """

    stored: Any = None
    usual: Callable[[np.ndarray], np.ndarray | None] | None = None
    inverted: bool = False
    alpha: Any = None
    padding: Any = None

    @property
    def _stored_size(self) -> tuple[int, int]:
        return self.stored.shape[1], self.stored.shape[0]

    def values(self) -> np.ndarray:
        """All stored values that mean something: [n], finite, of the stored type."""
        return meant(self.stored, self.padding)

    @property
    def has_holes(self) -> bool:
        """Whether some pixels are no numbers."""
        import numpy as np

        return not bool(np.isfinite(self.stored).all())

    def extremes(self) -> tuple[float, float]:
        found = self.values()
        if not found.size:
            raise LayerhouseError(f"{self.name} holds no number: all of its pixels are empty")
        return float(found.min()), float(found.max())

    @property
    def has_transparency(self) -> bool:
        return self.alpha is not None and int(self.alpha.min()) < 255

    def _rgb(self, how: Preparation) -> Image:
        import numpy as np
        import PIL.Image

        shades = self._shades(how)
        shades = 1 - shades if self.inverted else shades
        levels = (np.nan_to_num(shades, nan=0.0) * 255).round().astype(np.uint8)
        image = PIL.Image.fromarray(levels).convert("RGB")
        if self.has_transparency:
            image.putalpha(PIL.Image.fromarray(self.alpha))
            return laid(image, how)
        return image

    def _shades(self, how: Preparation) -> np.ndarray:
        if how.shown is not None:
            return between(self.stored, *how.shown)
        shades = None if self.usual is None else self.usual(self.stored)
        if shades is None:
            low, high = self.extremes()
            raise LayerhouseError(
                f"{self.name} holds {self.mode} values {low:.6g}…{high:.6g}; say which of them are "
                "black and white: `datasets add … --range LOW,HIGH`"
            )
        return shades


PIXEL_SHAPE, MODALITY_TABLE = "pixel shape", "modality table"
"""How `reading` says that a picture was stretched, and that its modality table was once misread."""


def stretched(picture: Picture, height: float, width: float, max_pixels: int) -> Picture:
    """The picture with square pixels, of which each is `height` by `width`, in any unit.

    It is stretched along one side, so nothing of it is lost. LayerhouseError for pixels of a form
    that nobody takes pictures with.
    """
    ratio = height / width
    if abs(ratio - 1) < ALMOST_SQUARE:
        return picture
    if not 1 / LONGEST <= ratio <= LONGEST:
        raise LayerhouseError(
            f"{picture.name} says that its pixels are {height:g} high and {width:g} wide; correct "
            "that in the file, or leave it out"
        )
    columns, rows = picture.size
    squared = (columns, round(rows * ratio)) if ratio > 1 else (round(columns / ratio), rows)
    check_size(picture.name, *squared, max_pixels)
    reading = ", ".join(filter(None, (picture.reading, PIXEL_SHAPE)))
    return replace(picture, squared=squared, reading=reading)


def meant(values: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
    """The values [n] that are numbers and no padding."""
    import numpy as np

    known = np.isfinite(values)
    if padding is not None:
        known &= ~padding
    found: np.ndarray = values[known]
    return found


def between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`values` as shades: `low` and less is 0, `high` and more is 1; not-a-number stays so."""
    import numpy as np

    wide = values.astype(np.float64)
    if high <= low:
        return np.where(np.isnan(wide), np.nan, 0.0)
    shades: np.ndarray = ((wide - low) / (high - low)).clip(0, 1)
    return shades


def laid(image: Image, how: Preparation) -> Image:
    """An RGBA image on the background."""
    import PIL.Image

    ground = PIL.Image.new("RGBA", image.size, (*how.colour, 255))
    return PIL.Image.alpha_composite(ground, image).convert("RGB")
