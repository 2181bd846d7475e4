"""DICOM objects as pictures, whatever their encoding, and those of which none can be made."""

from __future__ import annotations

import io
from pathlib import Path
from threading import local
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.images.dicom_checks import check_dicom, check_length, photometric_of
from warehouse.images.dicom_colour import colour_picture, palette_picture
from warehouse.images.dicom_grey import grey_picture
from warehouse.images.dicom_pixels import read_dicom, stored_pixels
from warehouse.images.pictures import Picture, check_size, frame_index, stretched

_last = local()
"""The last film of each thread: frames of one film are asked for one after another."""


def dicom_picture(name: str, source: str | io.BytesIO, frame: int | None, limit: int) -> Picture:
    """The picture of a DICOM object; of several frames the one `frame` says, from 1."""
    item = _item(name, source)
    check_dicom(item, name)
    check_size(name, int(item.Columns), int(item.Rows), limit)
    check_length(item, name)
    index = frame_index(name, frame, int(item.get("NumberOfFrames") or 1))
    return stretched(_as_stored(item, index, name), *_pixel_size(item, index), limit)


def _as_stored(item: Any, index: int, name: str) -> Picture:
    item.PhotometricInterpretation = photometric = photometric_of(item)
    if item.SamplesPerPixel != 1:
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


_SIZES = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Where height and width of a pixel stand, PS3.3 C.7.6.3.1.7: the ratio counts where no size is."""


def _pixel_size(item: Any, index: int) -> tuple[float, float]:
    """Height and width of the pixels of a frame, in any unit; 1 and 1 where nothing is said."""
    groups = (
        *item.get("PerFrameFunctionalGroupsSequence", [])[index : index + 1],
        *item.get("SharedFunctionalGroupsSequence", [])[:1],
    )
    measures = [part for group in groups for part in group.get("PixelMeasuresSequence", [])[:1]]
    for place in (*measures, item):
        for name in _SIZES:
            said = place.get(name)
            try:
                height, width = (float(side) for side in said or ())
            except (TypeError, ValueError):  # empty, one number, or none
                continue
            if height > 0 and width > 0:
                return height, width
    return 1.0, 1.0


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
