"""Slices of NIfTI volumes, seen as radiologists see them."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.bounds import check_unpacked
from warehouse.images.pictures import (
    DeepPicture,
    Picture,
    Scale,
    check_size,
    frame_index,
    stretched,
)

MOST_HEADER = 64 * 2**20
_last = local()
"""The last volume of each thread: slices of one volume are asked for one after another."""


def nifti_picture(name: str, source: str | io.BytesIO, frame: int | None, limit: int) -> Picture:
    """Axial slice `frame` of a volume, 1 the lowest; the front is up, the patient's right is left.

    Values are those that the file's own slope and intercept give.
    """
    volume, (width, height) = _volume(name, source)
    if volume.ndim != 3:
        raise LayerhouseError(
            f"{name} holds several volumes ({' × '.join(map(str, volume.shape))}), and one is "
            "needed; save each that is meant as a file, e.g. by nibabel.four_to_three or FSL's "
            "fslsplit"
        )
    check_size(name, volume.shape[0], volume.shape[1], limit)
    index = frame_index(name, frame, volume.shape[2], "slices")
    # canonical axes go to the right, to the front and up
    values = np.ascontiguousarray(volume[::-1, ::-1, index].T)
    picture = DeepPicture(name, f"NIfTI {values.dtype}", "", Scale.OPEN, stored=values)
    return stretched(picture, height or 1, width or 1, limit)


def _volume(name: str, source: str | io.BytesIO) -> tuple[np.ndarray, Sequence[float]]:
    """The volume in canonical axes, and the sides of a voxel along the first two of them."""
    key = (source, Path(source).stat().st_mtime_ns) if isinstance(source, str) else None
    if key is not None and getattr(_last, "key", None) == key:
        return _last.volume, _last.sides
    try:
        import nibabel
    except ImportError as error:
        raise LayerhouseError(
            f"{name} is a NIfTI volume, which needs nibabel: pip install 'layerhouse[nifti]'"
        ) from error
    if isinstance(source, io.BytesIO):
        image: Any = nibabel.Nifti1Image.from_bytes(source.getvalue())
    else:
        _check_start(name, source)
        image = nibabel.load(source)
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)  # and so of 8 bytes
    one = 8 if scaled else image.get_data_dtype().itemsize
    check_unpacked(name, math.prod(image.shape) * one)
    affine = np.asarray(image.affine)
    if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
        raise LayerhouseError(
            f"{name} says where its voxels lie by numbers that give them no place (its sform or "
            "qform); set these anew, e.g. with nibabel or FSL's fslorient"
        )
    image = nibabel.as_closest_canonical(image)
    found = np.asanyarray(image.dataobj)
    while found.ndim > 3 and found.shape[-1] == 1:
        found = found[..., 0]
    found = found[..., None] if found.ndim == 2 else found
    if found.dtype.names is not None:
        raise LayerhouseError(
            f"{name} holds colours, which are not read from NIfTI; save them as PNG"
        )
    if found.dtype.kind == "c":
        raise LayerhouseError(
            f"{name} holds complex numbers, of which none is a shade; save their magnitude"
        )
    # as the axes say, which go before the sizes that the header repeats
    sides = [float(side) for side in nibabel.affines.voxel_sizes(image.affine)[:2]]
    _last.key, _last.volume, _last.sides = key, found, sides
    return found, _last.sides


def _check_start(name: str, path: str) -> None:
    """LayerhouseError where the pixels begin so late that what comes before is no header."""
    from nibabel.openers import Opener

    with Path(path).open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
    if is_packed != path.lower().endswith(".gz"):
        form, meant = ("is", ".nii.gz") if is_packed else ("is not", ".nii")
        raise LayerhouseError(f"{name} {form} compressed by gzip; call it {meant}")
    with Opener(path) as file:
        head = file.read(348)
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        raise LayerhouseError(
            f"{name} is the header of a pair (.hdr and .img), whose pixels are in another file; "
            "save the volume as one file, .nii or .nii.gz"
        )
    order = "<" if head[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    second = head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
    form, place = ("q", 168) if second else ("f", 108)
    (start,) = struct.unpack_from(order + form, head.ljust(176, b"\0"), place)
    if not start <= MOST_HEADER:
        raise LayerhouseError(
            f"{name} says that its pixels begin at byte {start:,.0f}; save the volume again"
        )
