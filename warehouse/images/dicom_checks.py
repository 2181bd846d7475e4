"""What of a DICOM object cannot become an image, named before a decoder stumbles over it."""

from __future__ import annotations

from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.images.pictures import SeveralFramesError

_VIDEO = ("MPEG", "HEVC")
_NEEDED = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_OF_WHOLE_NUMBERS = ("BitsStored", "PixelRepresentation")
LEAST_BYTES_OF_FRAME = 8
"""Those of the item that a compressed frame is wrapped in."""
_CORRECT = "correct it (dcmodify of dcmtk does), or leave the file out"


def check_dicom(item: Any, name: str) -> None:
    """LayerhouseError for an object without pixels, or without what pixels need to be read."""
    _check_syntax(item.file_meta.TransferSyntaxUID, name)
    _check_holds_image(item, name)
    _check_description(item, name)
    _check_encoding(item, name)


_UNREAD = {
    "1.2.840.10008.1.2.4.110": "JPEG XL, lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL, of JPEG",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.113619.5.2": "GE's private big-endian syntax",
}
"""Transfer syntaxes that pydicom does not know, by name."""


def _check_syntax(syntax: Any, name: str) -> None:
    """LayerhouseError for a transfer syntax that nobody here knows: with it nothing is certain."""
    if not syntax.is_transfer_syntax:
        named = f"{_UNREAD[syntax]} ({syntax})" if syntax in _UNREAD else str(syntax)
        raise unreadable(name, named)


def unreadable(name: str, syntax: str) -> LayerhouseError:
    """The error for pixels in a transfer syntax that no decoder here reads."""
    return LayerhouseError(
        f"{name} is stored as {syntax}, which no decoder of layerhouse[dicom] reads; convert it, "
        "e.g. to JPEG 2000 or uncompressed, with dcmtk, gdcm or what exported it"
    )


_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentations, and maps of labels, which pydicom does not know by name."""


def _check_holds_image(item: Any, name: str) -> None:
    kind = item.get("SOPClassUID") or item.file_meta.get("MediaStorageSOPClassUID")
    what = getattr(kind, "name", None) or "DICOM object of an unknown kind"
    if "EncryptedAttributesSequence" in item and "Rows" not in item:
        raise LayerhouseError(f"{name} is encrypted ({what}); decrypt it first")
    if not len(item):  # pydicom drops all of a file that ends within its pixels
        raise LayerhouseError(f"{name} ends before its pixels do ({what}); copy or export it again")
    if "Rows" not in item or "Columns" not in item:
        raise LayerhouseError(f"{name} is DICOM without an image: {what}; leave it out")
    if kind in _SEGMENTATIONS:
        raise LayerhouseError(f"{name} is a segmentation, not a picture; leave it out")
    found = [key for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if key in item]
    if not found:
        raise LayerhouseError(
            f"{name} ({what}) describes an image and holds no pixels: it is cut off, or was "
            "exported without them"
        )


def _check_description(item: Any, name: str) -> None:
    from pydicom.datadict import dictionary_description, tag_for_keyword

    of_colour = ("PlanarConfiguration",) if int(item.get("SamplesPerPixel") or 1) > 1 else ()
    needed = (*_NEEDED, *(_OF_WHOLE_NUMBERS if "PixelData" in item else ()), *of_colour)
    for keyword in needed:
        if item.get(keyword) in (None, ""):
            tag = tag_for_keyword(keyword) or 0
            raise LayerhouseError(
                f"{name} does not say its {dictionary_description(keyword)} ({tag >> 16:04x},"
                f"{tag & 0xFFFF:04x}), without which pixels mean nothing; {_CORRECT}"
            )
    allocated, stored = int(item.BitsAllocated), int(item.get("BitsStored", item.BitsAllocated))
    if (allocated != 1 and allocated % 8) or not 1 <= stored <= allocated:
        raise LayerhouseError(
            f"{name} says that {stored} bits of {allocated} are stored ((0028,0101) and "
            f"(0028,0100)), which cannot be; {_CORRECT}"
        )


def _check_encoding(item: Any, name: str) -> None:
    """What no reader here turns into an image, by name."""
    syntax = item.file_meta.TransferSyntaxUID
    photometric = photometric_of(item)
    if any(word in syntax.name for word in _VIDEO):
        raise LayerhouseError(f"{name} holds a video ({syntax.name}); export its frames as images")
    if photometric in ("YBR_ICT", "YBR_RCT") and "JPEG 2000" not in syntax.name:
        raise LayerhouseError(
            f"{name} says the colour space {photometric}, which only JPEG 2000 has, and is stored "
            f"as {syntax.name}; correct (0028,0004) in the file"
        )
    shown_as = str(item.get("PixelPresentation", "")).strip()
    if photometric.startswith("MONOCHROME") and shown_as in ("COLOR", "MIXED"):
        raise LayerhouseError(
            f"{name} lays colours of a supplemental palette over its grey values ((0008,9205) says "
            f"{shown_as}), which is not read here; export it in RGB"
        )


_NUMBERS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")


def check_numbers(item: Any, name: str) -> None:
    """LayerhouseError for a transform of grey values that is said in no number, such as `40,5`."""
    from pydicom.datadict import dictionary_description, tag_for_keyword
    from pydicom.multival import MultiValue

    for keyword in _NUMBERS:
        try:
            said = item.get(keyword)
            for one in said if isinstance(said, MultiValue) else (said,):
                float(one or 0)
        except (TypeError, ValueError):
            tag = tag_for_keyword(keyword) or 0
            raise LayerhouseError(
                f"{name} says a {dictionary_description(keyword)} ({tag >> 16:04x},"
                f"{tag & 0xFFFF:04x}) that is no number; {_CORRECT}"
            ) from None


def photometric_of(item: Any) -> str:
    """The colour space that an object says, however it is written."""
    return str(item.PhotometricInterpretation).strip().upper()


def check_codestream(item: Any, name: str, codestream: bytes) -> None:
    """LayerhouseError for JPEG of another size or number of samples than its data set says."""
    columns, rows, samples = _shape_of(codestream)
    if columns and rows and (columns, rows) != (item.Columns, item.Rows):
        raise LayerhouseError(
            f"{name} says {item.Columns} × {item.Rows} pixels (0028,0011 and 0028,0010) and "
            f"{columns} × {rows} are stored; {_CORRECT}"
        )
    if samples not in (0, 1, int(item.SamplesPerPixel)):
        raise LayerhouseError(
            f"{name} says {item.SamplesPerPixel} samples a pixel (0028,0002) and {samples} are "
            f"stored; {_CORRECT}"
        )


def _shape_of(codestream: bytes) -> tuple[int, int, int]:
    """Width, height and samples a pixel of JPEG, JPEG-LS or JPEG 2000; 0 for what it does not say.

    Nothing is said by what is none of these.
    """
    sizes = codestream.find(b"\xff\x4f\xff\x51")
    if sizes >= 0:
        right, bottom, left, top = (_number(codestream, sizes + at, 4) for at in (8, 12, 16, 20))
        return right - left, bottom - top, _number(codestream, sizes + 40, 2)
    place = 2 if codestream.startswith(b"\xff\xd8") else len(codestream)
    while place + 10 <= len(codestream) and codestream[place] == 0xFF:
        marker = codestream[place + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            height, width = (_number(codestream, place + at, 2) for at in (5, 7))
            return width, height, codestream[place + 9]
        place += 2 + _number(codestream, place + 2, 2)
    return 0, 0, 0


def _number(codestream: bytes, place: int, length: int) -> int:
    return int.from_bytes(codestream[place : place + length], "big")


def check_length(item: Any, name: str) -> None:
    """LayerhouseError for pixels of another length than rows, columns, bits and frames say.

    SeveralFramesError where it is that of more frames. Of compressed pixels no more is known than
    that a frame takes a few bytes.
    """
    if "PixelData" not in item:
        return
    frames, held = int(item.get("NumberOfFrames") or 1), len(item.PixelData or b"")
    if item.file_meta.TransferSyntaxUID.is_encapsulated:
        if frames > 1 and held < frames * LEAST_BYTES_OF_FRAME:
            raise LayerhouseError(
                f"{name} says {frames:,} frames and holds {held:,} bytes of them: the file is cut "
                "off, or that number is wrong; copy or export it again"
            )
        if frames == 1 and (n_more := _n_codestreams(item)) > 1:
            raise SeveralFramesError(name, n_more, "frames or so, where it says one")
        return
    bits = item.Rows * item.Columns * item.SamplesPerPixel * item.BitsAllocated
    if item.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    needed = (frames * bits + 7) // 8
    if held < needed:
        raise LayerhouseError(
            f"{name} holds {held:,} bytes of pixels where {needed:,} are needed: the file is cut "
            "off, or its rows, columns or bits are wrong; copy or export it again"
        )
    if frames == 1 and held >= 2 * needed:
        raise SeveralFramesError(name, held // needed, "frames or so, where it says one")


_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
"""How codestreams of JPEG and JPEG-LS, and of JPEG 2000 without and with its box, begin."""


def _n_codestreams(item: Any) -> int:
    """How many compressed frames there are, by their table or by how their parts begin."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    listed = parse_basic_offsets(item.PixelData)
    parts = [part.startswith(_STARTS) for part in generate_fragments(item.PixelData)]
    return max(len(listed), sum(parts))


def check_sign(item: Any, name: str, codestream: bytes, pixels: Any) -> None:
    """LayerhouseError where JPEG 2000 holds negative values that its data set says cannot be."""
    sizes = codestream.find(b"\xff\x4f\xff\x51")
    if sizes < 0 or item.get("PixelRepresentation") != 0:
        return
    depth = codestream[sizes + 42]
    if depth & 0x80 and int(pixels.max()) >= 2 ** (depth & 0x7F):
        raise LayerhouseError(
            f"{name} says that its values have no sign (0028,0103) and holds negative ones; "
            f"{_CORRECT}"
        )


def check_unused_bits(item: Any, name: str, stored: Any, used: Any) -> None:
    """LayerhouseError where bits that are said to be unused hold something of the picture.

    `stored` are the pixels with all of their bits, `used` those of the bits that are said to be
    stored. The others may be anything that is the same everywhere; signs may be carried on there,
    and old objects keep overlays in them, which they say.
    """
    overlays = (group for group in range(0x6000, 0x6020, 2) if (group, 0x0102) in item)
    if any(int(item[group, 0x0102].value or 0) > 0 for group in overlays):
        return
    others = stored >> int(item.BitsStored)
    if others.min() != others.max() and ((stored != used) & (others != 0)).any():
        raise LayerhouseError(
            f"{name} says that {item.BitsStored} bits are stored, the last of them bit "
            f"{item.get('HighBit')} ((0028,0101) and (0028,0102)), and holds values up to "
            f"{int(stored.max()):,}, which need more; {_CORRECT}"
        )
