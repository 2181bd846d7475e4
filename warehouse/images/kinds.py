"""What a file is by its first bytes, since its name may say nothing, or something else."""

from __future__ import annotations

import struct
from pathlib import Path

HEAD = 1024
"""How much of a file is looked at, in bytes."""

DICOM, NIFTI, PICTURE = "DICOM", "NIfTI", "picture"

TIFF = (b"II*\0", b"MM\0*")
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", *TIFF, *_JPEG_2000)
_VRS = {b"UI", b"UL", b"OB", b"CS", b"DA", b"LO", b"SH", b"TM", b"DT"}
_DIRECTORY = b"1.2.840.10008.1.3.10"
_OTHERS = {
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; run `git lfs pull`",
    b"<!doctype html": "a web page, not an image",
    b"<html": "a web page, not an image",
    b"<?xml": "XML text, not an image",
    b"%pdf-": "a PDF document; export its pages as images",
    b"pk\x03\x04": "a ZIP archive; unpack it first",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}


def head_of(path: str | Path) -> bytes:
    """The first bytes of a file."""
    with Path(path).open("rb") as file:
        return file.read(HEAD)


def kind_of(head: bytes, name: str) -> str | None:
    """DICOM, NIFTI or PICTURE for what is one of these; None for anything else.

    NIfTI is compressed as a whole, so there the name has to tell.
    """
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return DICOM
    if name.lower().endswith((".nii", ".nii.gz")) or head[344:348] in (b"n+1\0", b"ni1\0"):
        return NIFTI
    if (
        head.startswith(_PICTURES)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:12] == b"ftypavif"
    ):
        return PICTURE
    # what is written otherwise, such as big-endian without a preamble, has only its name
    if name.lower().endswith((".dcm", ".dicom")) and other_kind(head) is None:
        return DICOM
    return None


def is_dicom(path: str | Path) -> bool:
    """Whether a file holds DICOM, by its content. An index of a medium (DICOMDIR) does not count.

    False for what cannot be read and for what is no plain file.
    """
    try:
        head = head_of(path)
    except OSError:
        return False
    return kind_of(head, str(path)) == DICOM and not is_directory_record(head)


def is_directory_record(head: bytes) -> bool:
    """Whether this is a DICOMDIR: it lists a medium's files and holds no image."""
    return _DIRECTORY in head


def is_image_file(path: str | Path) -> bool:
    """Whether a file holds a picture of any kind that is read, by its content."""
    try:
        head = head_of(path)
    except OSError:
        return False
    return kind_of(head, str(path)) is not None and not is_directory_record(head)


def other_kind(head: bytes) -> str | None:
    """What a file is instead of an image, in words with the way out, where that is known."""
    if not head:
        return "empty (0 bytes); copy or download it again"
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return next((what for mark, what in _OTHERS.items() if start.startswith(mark)), None)


def _is_bare_dicom(head: bytes) -> bool:
    """DICOM without its preamble: the first element is one of group 2 or 8 and of a sane length."""
    if len(head) < 16:
        return False
    group, element = struct.unpack("<HH", head[:4])
    if group not in (0x0002, 0x0008) or element > 0x00FF:
        return False
    if head[4:6] in _VRS:
        return True
    length: int = struct.unpack("<I", head[4:8])[0]  # implicit types: the length comes at once
    return 0 < length <= 128
