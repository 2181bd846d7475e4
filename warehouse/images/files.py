"""Pictures that Pillow decodes, at their full depth."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.kinds import HEAD
from warehouse.images.pictures import (
    DeepPicture,
    FlatPicture,
    Picture,
    Scale,
    check_size,
    frame_index,
    laid,
)
from warehouse.images.uris import Preparation

_GREY16 = {"I;16", "I;16B", "I;16L", "I;16N"}
_MAPPED = {*_GREY16, "L", "P", "RGBA", "RGBX", "CMYK"}
"""Modes of files that Pillow does not read but maps into memory."""
_WORDS = {
    "1": "1-bit",
    "L": "8-bit grey",
    "P": "8-bit palette",
    "LA": "8-bit grey with transparency",
    "RGB": "8-bit RGB",
    "RGBA": "8-bit RGB with transparency",
    "I": "32-bit integer grey",
    "F": "32-bit float grey",
}
# What Pillow may take a file for: its other readers run programs (EPS) or serve nobody here.
_FORMATS = (
    *("PNG", "JPEG", "JPEG2000", "GIF", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "PPM"),
    *("TGA", "PCX", "SGI", "ICO", "ICNS", "PSD"),
)
# Several pictures in one file that are one to look at: a photograph with its preview, layers.
_ONE_PICTURE = {"MPO", "PSD", "ICO", "ICNS"}
_PHOTOMETRIC, _SAMPLE_FORMAT, _BITS, _SUBFILE, _PLANAR = 262, 339, 258, 254, 284  # tags of TIFF
_DESCRIPTION, _ORIENTATION, _DEEPER = 270, 274, 330
_WHITE_IS_ZERO = 0


def file_picture(name: str, source: str | io.BytesIO, frame: int | None, limit: int) -> Picture:
    """The picture of a file that Pillow knows; of several the one `frame` says, from 1."""
    import PIL.Image

    warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")  # what matters is an error
    image = _opened(source)
    check_size(name, image.width, image.height, limit)
    pages = _pages(image) if frame is None else _pages_of(source)
    _check_listed(image, len(pages), name)
    what = "pages" if image.format == "TIFF" else "frames"
    page = pages[frame_index(name, frame, len(pages), what)]
    if page:
        image.seek(page)
        check_size(name, image.width, image.height, limit)
    _check_planes(image, name)
    rawmode = _rawmode(image)
    if image.mode in _GREY16 or image.mode in ("I", "F"):
        return _deep_grey(image, name)
    if ";16" in rawmode and image.mode != "CMYK":
        return _deep_colour(image, _opened(source, page), name, rawmode)
    if image.mode == "L" and _tags(image).get(_SAMPLE_FORMAT, (1,))[0] == 2:
        values = np.asarray(image).view(np.int8)
        return DeepPicture(name, "signed 8-bit grey", "signed", Scale.OPEN, stored=values)
    return _flat(image, name)


def _opened(source: str | io.BytesIO, page: int = 0) -> Any:
    import PIL.Image

    if isinstance(source, io.BytesIO):
        source.seek(0)
    image = PIL.Image.open(source, formats=_FORMATS)
    if page:
        image.seek(page)
    return image


def _tags(image: Any) -> Any:
    return getattr(image, "tag_v2", {})


def _pages_of(source: str | io.BytesIO) -> Sequence[int]:
    if isinstance(source, str):
        return _pages_at(source, Path(source).stat().st_mtime_ns)
    return _pages(_opened(source))


@lru_cache(maxsize=64)
def _pages_at(path: str, _modified: int) -> tuple[int, ...]:
    """Found once for all pages of a file, since looking for them means going through it."""
    return tuple(_pages(_opened(path)))


def _pages(image: Any) -> list[int]:
    """The places of all full pictures in a file; a TIFF holds masks and small copies too."""
    n_frames = getattr(image, "n_frames", 1)
    if n_frames == 1 or image.format in _ONE_PICTURE:
        return [0]
    if image.format != "TIFF":
        return list(range(n_frames))
    found = []
    for index in range(n_frames):
        image.seek(index)
        if not _tags(image).get(_SUBFILE, 0) & 0b101:
            found.append(index)
    image.seek(0)
    return found or [0]


def _check_listed(image: Any, n_pages: int, name: str) -> None:
    """LayerhouseError for a stack of which a TIFF lists the first page only, as ImageJ writes large
    ones and tifffile those that it is told to truncate, and for one that lists a preview.
    """
    said = str(_tags(image).get(_DESCRIPTION, ""))
    held = re.search(r"^images=(\d+)", said, re.MULTILINE) if said.startswith("ImageJ") else None
    if (held and int(held[1]) > n_pages) or '"truncated": true' in said:
        raise LayerhouseError(
            f"{name} holds a stack of which its directory lists {n_pages} page alone, so the "
            "others would be missed; save its pages as files, or as a TIFF that lists them"
        )
    if _tags(image).get(_SUBFILE, 0) & 1 and _DEEPER in _tags(image):
        raise LayerhouseError(
            f"{name} begins with a small preview of its picture, as raw files of cameras do; "
            "export the picture as PNG or TIFF"
        )


def _check_planes(image: Any, name: str) -> None:
    tags = _tags(image)
    if tags.get(_PLANAR, 1) == 2 and max(tags.get(_BITS, (8,))) > 8:
        raise LayerhouseError(
            f"{name} holds {max(tags[_BITS])}-bit colour plane by plane, of which only a part "
            "would be read; save it with the colours of a pixel together, or as PNG"
        )


def _rawmode(image: Any) -> str:
    """How the file's decoder is told to unpack pixels; it says the stored depth."""
    said = image.tile[0].args if image.tile else ""
    return str(said if isinstance(said, str) else said[0] if said else "")


def _flat(image: Any, name: str) -> Picture:
    reading = "orientation" if _was_misread(image) else ""
    upright = _upright(image)
    mode = _WORDS.get(image.mode, image.mode)
    picture = FlatPicture(name, mode, reading, image=upright)
    if picture.has_transparency and _hides_colours(upright):
        reading = ", ".join(filter(None, (reading, "transparency")))
        return FlatPicture(name, mode, reading, image=upright)
    return picture


def _upright(image: Any) -> Any:
    from PIL import ImageOps

    if _is_sideways(image):  # Pillow maps such a file into memory with its sides exchanged
        image.filename = ""
    return ImageOps.exif_transpose(image)


def _is_sideways(image: Any) -> bool:
    """Whether a TIFF's rows are the columns of what it shows."""
    return _tags(image).get(_ORIENTATION, 1) in (5, 6, 7, 8)


def _was_misread(image: Any) -> bool:
    """Whether earlier versions let Pillow map a sideways picture into memory, not yet loaded."""
    is_mapped = len(image.tile) == 1 and image.tile[0][0] == "raw" and image.mode in _MAPPED
    return is_mapped and _rawmode(image) == image.mode and _is_sideways(image)


def _hides_colours(image: Any) -> bool:
    """Whether dropping the transparency, as was once done, shows anything but the same on black."""
    return laid(image.convert("RGBA"), Preparation()).tobytes() != image.convert("RGB").tobytes()


def _deep_grey(image: Any, name: str) -> Picture:
    key, says_its_range = image.info.get("transparency"), _says_its_range(image)
    readings = ["orientation" if _was_misread(image) else ""]
    values = np.asarray(_upright(image))
    tags = _tags(image)
    is_unsigned = tags.get(_BITS) == (32,) and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1
    if values.dtype == np.int32 and is_unsigned:
        values = values.view(np.uint32)  # Pillow knows no unsigned ones
    alpha = None if key is None else np.where(values == key, 0, 255).astype(np.uint8)
    readings += ["transparency" if alpha is not None and alpha.min() == 0 else ""]
    return DeepPicture(
        name,
        _WORDS.get(image.mode, "16-bit grey"),
        ", ".join(filter(None, readings)),
        Scale.FIXED if says_its_range else Scale.OPEN,
        stored=values,
        usual=None if image.mode == "F" else _of_sixteen_bits,
        inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        alpha=alpha,
    )


def _says_its_range(image: Any) -> bool:
    """Whether the file says how bright white is: Pillow has brought its values to 0…65535.

    One that says sixteen bits may hold twelve, as other files do.
    """
    if image.format == "PPM":  # the decoder is told the maximum, or has nothing to scale
        said = image.tile[0].args
        return not isinstance(said, str) and int(said[1]) < 65535
    if image.format != "JPEG2000":
        return False
    place, _ = image.fp.tell(), image.fp.seek(0)
    head = image.fp.read(HEAD)
    image.fp.seek(place)
    start = head.find(b"\xff\x4f\xff\x51")  # sizes; the depth of the first component ends them
    return start < 0 or head[start + 42] & 0x7F < 15


def _of_sixteen_bits(values: np.ndarray) -> np.ndarray | None:
    inside = values.min() >= 0 and values.max() <= 65535
    return (values // 257) / 255 if inside else None


def _deep_colour(image: Any, again: Any, name: str, rawmode: str) -> Picture:
    """Sixteen-bit colour: Pillow unpacks the high byte of a value, and told otherwise the low one.

    `again` is the same file, opened once more.
    """
    key, is_grey = image.info.get("transparency"), rawmode.startswith("LA")
    # grey with alpha has no such way, but it is as long as four bytes of colour
    other = "RGBA" if is_grey else rawmode[:-1] + ("L" if rawmode[-1] == "B" else "B")
    again.tile = [part._replace(args=_told(part.args, other)) for part in again.tile]
    high, low = np.asarray(_upright(image)).astype(np.uint16), np.asarray(_upright(again))
    if is_grey:
        values = np.repeat((high[..., :1] << 8) | low[..., 1:2], 3, axis=2)
    else:
        values = ((high << 8) | low)[..., :3]
    alpha = high[..., 3].astype(np.uint8) if image.mode == "RGBA" else None
    if key is not None:
        alpha = np.where((values == key).all(axis=-1), 0, 255).astype(np.uint8)
    return DeepPicture(
        name,
        "16-bit colour" if alpha is None else "16-bit colour with transparency",
        "transparency" if alpha is not None and alpha.min() < 255 else "",
        Scale.OPEN,
        stored=values,
        usual=lambda stored: (stored >> 8) / 255,
        alpha=alpha,
    )


def _told(args: Any, rawmode: str) -> Any:
    return rawmode if isinstance(args, str) else (rawmode, *args[1:])
