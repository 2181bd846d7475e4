"""Colour in DICOM: turned into RGB exactly once, as the encoded picture itself says."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.dicom_checks import photometric_of
from warehouse.images.dicom_pixels import encoded_frame, stored_pixels
from warehouse.images.pictures import DeepPicture, FlatPicture, Picture

_SPACES = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def colour_picture(item: Any, index: int, name: str) -> Picture:
    """A frame of three samples a pixel."""
    photometric = photometric_of(item)
    if photometric not in _SPACES or item.SamplesPerPixel != 3:
        raise LayerhouseError(
            f"{name} is in the colour space {photometric} with {item.SamplesPerPixel} samples a "
            f"pixel; {', '.join(_SPACES)} with three are read, so convert it"
        )
    pixels, reading = _rgb(item, index, name)
    bits = int(item.BitsStored)
    mode = f"DICOM {photometric}, {bits} bits"
    if pixels.dtype == np.uint8 and bits == 8:
        import PIL.Image

        return FlatPicture(name, mode, reading, image=PIL.Image.fromarray(pixels))
    full = 2**bits - 1
    return DeepPicture(name, mode, "depth", stored=pixels, usual=lambda stored: stored / full)


def _rgb(item: Any, index: int, name: str) -> tuple[np.ndarray, str]:
    """Pixels [h, w, 3] as RGB, and what was done that earlier versions did otherwise."""
    photometric = photometric_of(item)
    syntax = item.file_meta.TransferSyntaxUID
    if syntax.name.startswith("JPEG Baseline") or (
        syntax.name.startswith("JPEG Extended") and item.BitsStored == 8
    ):
        return _of_jpeg(encoded_frame(item, index), photometric), "colour"
    if photometric.startswith("YBR_FULL") and item.BitsAllocated > 8:
        raise LayerhouseError(
            f"{name} is in the colour space {photometric} with {item.BitsAllocated} bits a sample, "
            "of which 8 are read; export it in RGB"
        )
    # what decoding gives is RGB already where the codestream itself had it transformed
    is_rgb = "JPEG 2000" in syntax.name and _is_decorrelated(encoded_frame(item, index))
    in_planes = "JPEG 2000" in syntax.name and item.PlanarConfiguration == 1
    reading = "" if photometric == "RGB" else "colour"
    reading = "colour beside colour" if in_planes else reading
    return stored_pixels(item, index, name, raw=is_rgb), reading


def _of_jpeg(encoded: bytes, photometric: str) -> np.ndarray:
    """JPEG of 8 bits as its own markers say; where they say nothing, as the data set does.

    An Adobe marker names the transform, a JFIF marker means YCbCr, components may be called R, G
    and B (ISO/IEC 10918-5 and -6). Pillow follows these, and takes silence for YCbCr. What is
    stored at half the width is colour differences, so a data set that says RGB there is wrong.
    """
    import PIL.Image

    image: Any = PIL.Image.open(io.BytesIO(encoded), formats=("JPEG",))
    silent = not {"adobe_transform", "jfif"} & set(image.info)
    ids, sampling = _components(encoded)
    is_rgb = photometric == "RGB" and len(set(sampling)) == 1 and ids != b"RGB"
    if silent and (ids == b"rgb" or is_rgb):
        image.draft("YCbCr", image.size)  # as stored, without a transform
    found: np.ndarray = np.array(image)
    return found


def _components(encoded: bytes) -> tuple[bytes, bytes]:
    """The ids of a JPEG's three components and how each is sampled, from its frame header."""
    place = 2
    while encoded[place] == 0xFF and not 0xC0 <= encoded[place + 1] <= 0xC2:
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
    first = place + 10
    return encoded[first : first + 9 : 3], encoded[first + 1 : first + 9 : 3]


def _is_decorrelated(encoded: bytes) -> bool:
    """Whether JPEG 2000 was told to transform colours: its coding style says so (marker COD)."""
    place = encoded.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return False
    place += 2
    while encoded[place] == 0xFF and encoded[place + 1] not in (0x52, 0x90):
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
    return encoded[place + 1] == 0x52 and encoded[place + 8] == 1


def palette_picture(pixels: np.ndarray, item: Any, name: str) -> Picture:
    """Stored values are places in three tables of colours, PS3.3 C.7.6.3.1.5."""
    import PIL.Image
    from pydicom.pixels import apply_color_lut

    lacking = not any(f"{kind}RedPaletteColorLookupTableData" in item for kind in ("", "Segmented"))
    if lacking and "PaletteColorLookupTableUID" not in item:
        raise LayerhouseError(
            f"{name} is PALETTE COLOR and holds no table of colours (0028,1201), without which its "
            "values are none; export it in RGB, or with its table"
        )
    plain, reading = _with_wide_tables(item, name)
    colours = apply_color_lut(pixels, plain)[..., :3]
    if (scale := _segment_scale(item, name)) > 1:
        colours, reading = colours * scale, "palette of bytes in segments"
    if colours.dtype == np.uint16:
        colours = (colours / 257).round()
    image = PIL.Image.fromarray(colours.astype(np.uint8))
    return FlatPicture(name, "DICOM PALETTE COLOR", reading, image=image)


def _segment_scale(item: Any, name: str) -> int:
    """By how much the entries of tables in segments are too small: words that hold bytes."""
    from pydicom.pixels import apply_color_lut

    is_segmented = "SegmentedRedPaletteColorLookupTableData" in item
    if "RedPaletteColorLookupTableData" in item or not is_segmented:
        return 1
    n_entries, first, bits = item.RedPaletteColorLookupTableDescriptor
    if bits == 8 and not 0 < n_entries <= 2**8:  # pydicom counts places in the type of the entries
        raise LayerhouseError(
            f"{name} has a table of {n_entries or 2**16:,} colours of 8 bits in segments "
            "(0028,1221), which is not read here; export it in RGB"
        )
    whole = apply_color_lut(np.arange(first, first + (n_entries or 2**16)), item)[..., :3]
    return 257 if whole.dtype == np.uint16 and whole.max() < 2**8 else 1


def _with_wide_tables(item: Any, name: str) -> tuple[Any, str]:
    """The colour tables with words as entries, and their reading; segmented ones stay as they are.

    pydicom counts places in the type of the entries, so that tables of bytes would end at place
    255. Tables whose every word is below 256 hold bytes, as dcmtk takes them too.
    """
    from pydicom.dataset import Dataset

    if "RedPaletteColorLookupTableData" not in item:
        return item, "palette"
    wide = Dataset()
    n_entries, first, bits = item.RedPaletteColorLookupTableDescriptor
    n_entries = n_entries or 2**16
    tables = {}
    for colour in ("Red", "Green", "Blue"):
        stored = item[f"{colour}PaletteColorLookupTableData"].value
        is_bytes = len(stored) < 2 * n_entries
        order = "<" if item.original_encoding[1] else ">"
        table = np.frombuffer(stored, "u1" if is_bytes else f"{order}u2")
        if len(table) < n_entries:
            raise LayerhouseError(
                f"{name} says a table of {n_entries:,} colours (0028,1101) and holds fewer; it is "
                "damaged, so copy or export it again"
            )
        tables[colour] = table[:n_entries].astype("<u2")
    largest = max(table.max() for table in tables.values())
    depth = bits if 8 < bits < 16 and largest < 2**bits else 16
    depth = 8 if largest < 2**8 else depth
    for colour, table in tables.items():
        words = (table * ((2**16 - 1) / (2**depth - 1))).round().astype("<u2")
        setattr(wide, f"{colour}PaletteColorLookupTableDescriptor", [n_entries % 2**16, first, 16])
        setattr(wide, f"{colour}PaletteColorLookupTableData", words.tobytes())
    return wide, "palette" if depth in (8, 16) else "palette depth"
