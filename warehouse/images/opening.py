"""One way to open an image, whatever holds it: a file, a DICOM object, or one item of an array.

Pillow, NumPy and the rest are imported on the first call, so that commands without images start
fast.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import LayerhouseError
from warehouse.images.items import DIGITS_SCHEME, item_at
from warehouse.images.kinds import DICOM, HEAD, JPEG, NIFTI, TIFF, head_of, kind_of, other_kind
from warehouse.images.pictures import (
    MAX_PIXELS,
    DeepPicture,
    FlatPicture,
    Picture,
    Scale,
    check_size,
    frame_index,
)
from warehouse.images.uris import parted

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


def open_image(uri: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The image behind `uri` as 8-bit RGB, turned upright by its EXIF orientation.

    All is done as the uri says (`warehouse.images.uris`). Where it says nothing, sixteen-bit
    pictures are scaled from their full range 0…65535, DICOM by its own window, and transparent
    parts lie on black; a file of several pictures is refused. Raises LayerhouseError, naming the
    uri, for what is missing, cannot be decoded or has more than `max_pixels` pixels.
    """
    _, how = parted(uri)
    with faults_named(uri, max_pixels):
        return picture_at(uri, max_pixels).rgb(how)


def picture_at(uri: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture behind `uri` as it is stored; whoever calls this has the faults named."""
    place, how = parted(uri)
    item = item_at(place)
    if item is not None and not isinstance(item, bytes):
        return _of_array(place, item, how.frame, max_pixels)
    head = head_of(place) if item is None else item[:HEAD]
    kind = kind_of(head, place)
    if kind is None and (what := other_kind(head, place)) is not None:
        raise LayerhouseError(f"{place} is {what}")
    # each reader loads what it reads with, on its first picture
    if kind == DICOM:
        from warehouse.images.dicom import dicom_picture as read
    elif kind == NIFTI:
        from warehouse.images.nifti import nifti_picture as read
    else:
        from warehouse.images.files import file_picture as read
    return read(place, place if item is None else io.BytesIO(item), how.frame, max_pixels)


def image_sha256(uri: str) -> str:
    """The hash of what is stored behind `uri`: a file's content, an array item's raw bytes.

    The frames of one file differ by their number.
    """
    place, how = parted(uri)
    item = item_at(place)
    if item is None:
        path = Path(place)
        known = path.stat()
        found = _file_sha256(place, known.st_mtime_ns, known.st_size)
    else:
        stored = item if isinstance(item, bytes) else item.tobytes()
        found = hashlib.sha256(stored).hexdigest()
    if how.frame is None:
        return found
    return hashlib.sha256(f"{found} frame {how.frame}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _file_sha256(path: str, _modified: int, _size: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def faults_named(uri: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turns whatever decoders raise into one sentence that names the place."""
    import PIL.Image

    place, _ = parted(uri)
    try:
        yield
    except LayerhouseError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise LayerhouseError(
            f"{place} has far more than {max_pixels:,} pixels; scale it down"
        ) from error
    except FileNotFoundError as error:
        raise LayerhouseError(f"{place} does not exist") from error
    except PermissionError as error:
        raise LayerhouseError(f"{place} may not be read by you; change its permissions") from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise LayerhouseError(_undecodable(place, error)) from error


def _undecodable(place: str, error: Exception) -> str:
    import PIL

    path = Path(place)
    head = head_of(path) if path.is_file() else b"?"
    if isinstance(error, PIL.UnidentifiedImageError) and head.startswith(TIFF):
        return (
            f"{place} is a kind of TIFF that Pillow does not read, such as 64-bit floats; save it "
            "with 8 or 16 bits, or 32-bit floats"
        )
    if isinstance(error, PIL.UnidentifiedImageError) and head.startswith(JPEG):
        return (
            f"{place} is a JPEG that Pillow does not read: one of 12 bits, a lossless one, or one "
            "that is damaged; convert it to PNG with what wrote it, or copy it again"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, PIL.UnidentifiedImageError):
        return (
            f"{place} cannot be decoded as an image: it is of no kind that is known here; save it "
            "as PNG, JPEG, TIFF or DICOM"
        )
    # pydicom lists what each decoder said below a heading
    reason = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    return f"{place} cannot be decoded as an image: {reason or type(error).__name__}"


def _of_array(place: str, pixels: np.ndarray, frame: int | None, limit: int) -> Picture:
    """A picture [h, w] or [h, w, 3], or a volume [slices, h, w], of bytes or of 16 bits."""
    import PIL.Image

    if pixels.ndim == 3 and pixels.shape[2] != 3:
        pixels = pixels[frame_index(place, frame, len(pixels), "slices")]
    check_size(place, pixels.shape[1], pixels.shape[0], limit)
    if pixels.dtype == "uint16":
        mode = "16-bit grey" if pixels.ndim == 2 else "16-bit colour"
        return DeepPicture(place, mode, "", Scale.OPEN, stored=pixels, usual=_of_sixteen_bits)
    if place.startswith(DIGITS_SCHEME):
        pixels = (pixels * 15.9375).round().astype("uint8")  # 0…16 to 0…255
    image = PIL.Image.fromarray(pixels)
    return FlatPicture(place, "8-bit grey" if image.mode == "L" else "8-bit RGB", image=image)


def _of_sixteen_bits(values: np.ndarray) -> np.ndarray:
    shades: np.ndarray = values / 65535
    return shades
