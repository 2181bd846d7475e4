"""DICOM objects as pictures, whatever their encoding, and those of which none can be made."""

from __future__ import annotations

import io
from pathlib import Path
from threading import local
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.images.dicom_colour import colour_picture, palette_picture
from warehouse.images.dicom_grey import grey_picture
from warehouse.images.dicom_pixels import read_dicom, stored_pixels
from warehouse.images.pictures import Picture, check_size, frame_index

_VIDEO = ("MPEG", "HEVC")

_last = local()
"""The last film of each thread: frames of one film are asked for one after another."""


def dicom_picture(name: str, source: str | io.BytesIO, frame: int | None, limit: int) -> Picture:
    """The picture of a DICOM object; of several frames the one `frame` says, from 1."""
    item = _item(name, source)
    _check_holds_image(item, name)
    check_size(name, int(item.Columns), int(item.Rows), limit)
    index = frame_index(name, frame, int(item.get("NumberOfFrames") or 1))
    photometric = str(item.get("PhotometricInterpretation") or "without a name").strip()
    _check_encoding(item, photometric, name)
    if item.get("SamplesPerPixel", 1) != 1:
        return colour_picture(item, index, name)
    if photometric not in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"):
        raise LayerhouseError(
            f"{name} says one value a pixel and the colour space {photometric}, which do not go "
            "together; correct (0028,0004) in the file"
        )
    pixels = stored_pixels(item, index, name)
    if photometric == "PALETTE COLOR":
        return palette_picture(pixels, item, name)
    return grey_picture(pixels, item, index, name)


def _item(name: str, source: str | io.BytesIO) -> Any:
    if isinstance(source, io.BytesIO):
        source.seek(0)
        return read_dicom(name, source)
    key = (source, Path(source).stat().st_mtime_ns)
    if getattr(_last, "key", None) == key:
        return _last.item
    item = read_dicom(name, source)
    if int(item.get("NumberOfFrames") or 1) > 1:
        _last.key, _last.item = key, item
    return item


def _check_holds_image(item: Any, name: str) -> None:
    kind = item.get("SOPClassUID") or item.file_meta.get("MediaStorageSOPClassUID")
    what = getattr(kind, "name", None) or "DICOM object of an unknown kind"
    if "EncryptedAttributesSequence" in item and "Rows" not in item:
        raise LayerhouseError(f"{name} is encrypted ({what}); decrypt it first")
    if "Rows" not in item or "Columns" not in item:
        raise LayerhouseError(f"{name} is DICOM without an image: {what}; leave it out")
    found = [key for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if key in item]
    if not found:
        raise LayerhouseError(
            f"{name} ({what}) describes an image and holds no pixels: it is cut off, or was "
            "exported without them"
        )


def _check_encoding(item: Any, photometric: str, name: str) -> None:
    """What no reader here turns into an image, by name."""
    syntax = item.file_meta.TransferSyntaxUID
    if any(word in syntax.name for word in _VIDEO):
        raise LayerhouseError(f"{name} holds a video ({syntax.name}); export its frames as images")
    if photometric in ("YBR_ICT", "YBR_RCT") and "JPEG 2000" not in syntax.name:
        raise LayerhouseError(
            f"{name} says the colour space {photometric}, which only JPEG 2000 has, and is stored "
            f"as {syntax.name}; correct (0028,0004) in the file"
        )
