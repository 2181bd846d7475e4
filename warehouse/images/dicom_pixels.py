"""The stored pixels of DICOM objects, decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.bounds import Watched
from warehouse.images.dicom_checks import (
    check_codestream,
    check_sign,
    check_unused_bits,
    unreadable,
)

EXTRA = "pip install 'layerhouse[dicom]'"


def read_dicom(name: str, source: str | io.BytesIO) -> Any:
    """The data set of a file, with or without preamble.

    Raises LayerhouseError where pydicom is not installed, and whatever pydicom raises.
    """
    try:
        import pydicom
    except ImportError as error:
        raise LayerhouseError(f"{name} is a DICOM file, which needs pydicom: {EXTRA}") from error
    # what it warns of is either told by this room in a sentence, or no fault of the pixels
    warnings.filterwarnings("ignore", module="pydicom")
    raw = source if isinstance(source, io.BytesIO) else io.FileIO(source)
    with Watched(raw, name) as file:
        item = pydicom.dcmread(file, force=True)
    if "TransferSyntaxUID" not in item.file_meta:  # files without preamble: what they were read as
        implicit, little = item.original_encoding
        uid = pydicom.uid
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        item.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    return item


def encoded_frame(item: Any, index: int) -> bytes:
    """The codestream of a frame that is stored compressed."""
    from pydicom.encaps import get_frame

    frames = int(item.get("NumberOfFrames") or 1)
    return get_frame(item.PixelData, index, number_of_frames=frames)


@contextmanager
def _pixel_by_pixel(item: Any, is_jpeg: bool) -> Iterator[None]:
    """With colours said to lie pixel by pixel, as decoders of JPEG give them whatever is said."""
    said = item.get("PlanarConfiguration")
    if is_jpeg and said == 1:
        item.PlanarConfiguration = 0
    try:
        yield
    finally:
        if said is not None:
            item.PlanarConfiguration = said


def stored_pixels(item: Any, index: int, name: str, raw: bool = False) -> np.ndarray:
    """One frame as it is stored: [h, w] or [h, w, samples]; YBR becomes RGB unless `raw`."""
    from pydicom.pixels import get_decoder, pixel_array

    syntax = item.file_meta.TransferSyntaxUID
    try:
        if syntax.is_encapsulated and not get_decoder(syntax).is_available:
            raise LayerhouseError(
                f"{name} is compressed as {syntax.name}, for which no decoder is installed: {EXTRA}"
            )
        encoded = b""
        if syntax.is_encapsulated and "JPEG" in syntax.name:
            encoded = encoded_frame(item, index)
            check_codestream(item, name, encoded)
        if item.BitsAllocated == 1 and not syntax.is_encapsulated:  # frames end within a byte
            every: np.ndarray = pixel_array(item, raw=raw)
            return every if every.ndim == 2 else every[index]
        with _pixel_by_pixel(item, bool(encoded)):
            pixels = pixel_array(item, index=index, raw=raw)
        check_sign(item, name, encoded, pixels)
    except NotImplementedError as error:
        raise unreadable(name, syntax.name) from error
    except RuntimeError as error:
        # libjpeg's decoder has a licence that we do not bring; gdcm's ends the whole process
        if "12-bit" in str(error):
            raise unreadable(name, f"{syntax.name}, 12 bits") from error
        raise
    is_packed = syntax.is_encapsulated and syntax.name != "RLE Lossless"
    if not is_packed and item.get("BitsStored", 0) not in (0, item.BitsAllocated):
        stored = pixel_array(item, index=index, raw=True, correct_unused_bits=False)
        if stored.shape == pixels.shape:
            check_unused_bits(item, name, stored, pixels)
    return pixels
