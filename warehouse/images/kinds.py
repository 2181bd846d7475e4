"""What a file is by its first bytes, since its name may say nothing, or something else."""

from __future__ import annotations

import struct
from pathlib import Path

HEAD = 1024
"""How much of a file is looked at, in bytes."""

DICOM, NIFTI, PICTURE = "DICOM", "NIfTI", "picture"

TIFF = (b"II*\0", b"MM\0*")
JPEG = b"\xff\xd8\xff"
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_PICTURES = (b"\x89PNG\r\n\x1a\n", JPEG, b"GIF87a", b"GIF89a", *TIFF, *_JPEG_2000)
_VRS = {b"UI", b"UL", b"OB", b"CS", b"DA", b"LO", b"SH", b"TM", b"DT"}
_DIRECTORY = b"1.2.840.10008.1.3.10"
_DRAWING = "a drawing (SVG), not an image; export it as PNG"
_HEIC = "a HEIC picture, which is not read here; convert it to PNG or JPEG"
_ITK = "a volume of ITK, which is not read here; convert it to NIfTI or DICOM"
_JPEG_XL = "a JPEG XL picture, which is not read here; convert it to PNG or JPEG"
_OFFICE = "a document of Excel or another Office program; save its sheet as CSV"
_PARTS_OF_OFFICE = (b"[Content_Types].xml", b"docProps/", b"_rels/", b"xl/", b"mimetypeapplication")
_PACKED = {".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".xz", ".bz2", ".txz", ".tbz2"}
_VIDEO = "a video; export its frames as images"
_ARRAYS = "not an image; save each picture in it as PNG or TIFF"
_FREESURFER = "a volume of FreeSurfer, which is not read here; convert it to NIfTI (mri_convert)"
_SLIDE = (
    "the small overview of a slide, whose pixels lie in a folder beside it; export what is meant "
    "as TIFF or PNG"
)
_BY_NAME = {".mgz": _FREESURFER, ".mgh": _FREESURFER, ".mrxs": _SLIDE, ".vsi": _SLIDE}
"""What begins as something else does: a packed file, a JPEG, a TIFF."""
_UNREAD = (_DRAWING, _FREESURFER, _HEIC, _ITK, _JPEG_XL, _SLIDE)
"""Pictures to whoever has them, of kinds that nobody reads here."""

_OTHERS = {
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; run `git lfs pull`",
    b"<!doctype html": "a web page, not an image",
    b"<html": "a web page, not an image",
    b"<svg": _DRAWING,
    b"<?xml": "XML text, not an image",
    b"%pdf-": "a PDF document; export its pages as images",
    b"pk\x03\x04": "a ZIP archive, as .npz and .pt files are, too; unpack it first",
    b"rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\xfd7zxz": "compressed by xz; unpack it first",
    b"bzh": "compressed by bzip2; unpack it first",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"\x93numpy": f"a NumPy array, {_ARRAYS}",
    b"\x89hdf\r": f"an HDF5 file, {_ARRAYS}",
    b"matlab 5": f"a MATLAB file, {_ARRAYS}",
    b"nrrd0": _ITK,
    b"objecttype =": _ITK,
    b"ndims =": _ITK,
    b"\xd0\xcf\x11\xe0": _OFFICE,
    b"\xff\x0a": _JPEG_XL,
    b"\0\0\0\x0cjxl ": _JPEG_XL,
    b"\x1a\x65\xdf\xa3": _VIDEO,
}
_BRANDS_OF_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def head_of(path: str | Path) -> bytes:
    """The first bytes of a file; OSError where it is none, as a pipe, on which one would wait."""
    if Path(path).exists() and not Path(path).is_file():
        raise OSError("it is no file")
    with Path(path).open("rb") as file:
        return file.read(HEAD)


def kind_of(head: bytes, name: str) -> str | None:
    """DICOM, NIFTI or PICTURE for what is one of these; None for anything else.

    NIfTI is compressed as a whole, so there the name has to tell.
    """
    if _by_name(name) is not None:
        return None
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return DICOM
    is_nifti = head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")
    if is_nifti or name.lower().endswith((".nii", ".nii.gz")):
        return NIFTI
    if (
        head.startswith(_PICTURES)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:12] == b"ftypavif"
    ):
        return PICTURE
    # what is written otherwise, such as big-endian without a preamble, has only its name
    if name.lower().endswith((".dcm", ".dicom")) and other_kind(head, name) is None:
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
    """Whether a file holds a picture, by its content; also one of a kind that is not read here.

    Such a one is named when it is opened, which is better than to be passed over.
    """
    try:
        head = head_of(path)
    except OSError:
        return False
    if kind_of(head, str(path)) is not None:
        return not is_directory_record(head)
    return other_kind(head, str(path)) in _UNREAD


def is_archive(path: str | Path) -> bool:
    """Whether a file packs others, by its name: such a one among images holds more of them."""
    return Path(path).suffix.lower() in _PACKED


def holds_numbers(path: str | Path) -> bool:
    """Whether a file is none of text: texts hold no zero bytes."""
    try:
        return b"\0" in head_of(path)
    except OSError:
        return False


def what_instead(path: str | Path) -> str | None:
    """What a file is that is no picture, in words with the way out; None where that is unknown."""
    try:
        return other_kind(head_of(path), str(path))
    except OSError:
        return None


def other_kind(head: bytes, name: str) -> str | None:
    """What a file is instead of an image, in words with the way out, where that is known."""
    if not head:
        return "empty (0 bytes); copy or download it again"
    if (what := _by_name(name)) is not None:
        return what
    if head[4:8] == b"ftyp":  # the box that films and pictures of one family begin with
        return _HEIC if head[8:12] in _BRANDS_OF_HEIC else _VIDEO
    if head.startswith(b"PK\x03\x04") and head[30:].startswith(_PARTS_OF_OFFICE):
        return _OFFICE
    if head[257:262] == b"ustar":
        return "a TAR archive; unpack it first"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return _VIDEO
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith(b"<?xml") and b"<svg" in start:
        return _DRAWING
    return next((what for mark, what in _OTHERS.items() if start.startswith(mark)), None)


def _by_name(name: str) -> str | None:
    return _BY_NAME.get(Path(name).suffix.lower())


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
