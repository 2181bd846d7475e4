"""Grey in DICOM: through the modality transform, then the VOI transform, as PS3.3 C.11 orders them.

The transforms are pydicom's own; what is decided here is which of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.dicom_checks import check_numbers, photometric_of
from warehouse.images.pictures import (
    MODALITY_TABLE,
    DeepPicture,
    Picture,
    Scale,
    between,
    meant,
)

_TRANSFORMS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
}
"""Groups that say a transform of a frame, and what else may say it."""


def _of_frame(item: Any, index: int) -> Any:
    """The data set as it holds for one frame: enhanced objects say transforms per frame."""
    from pydicom.dataset import Dataset

    groups = [
        *item.get("SharedFunctionalGroupsSequence", [])[:1],
        *item.get("PerFrameFunctionalGroupsSequence", [])[index : index + 1],
    ]
    merged = Dataset()
    merged.update({tag: item[tag] for tag in item.keys() if tag.group == 0x0028})  # noqa: SIM118
    reading = ""
    for group in groups:
        for name, keywords in _TRANSFORMS.items():
            for part in group.get(name, [])[:1]:
                said, held = (
                    {key for key in keywords if place.get(key)} for place in (part, merged)
                )
                if said and held - said:  # what holds for all frames does not mix with it
                    reading = "functional groups alone"
                for keyword in held if said else ():
                    delattr(merged, keyword)
                merged.update(part)
                reading = reading or ("functional groups" if part else "")
    if not reading:
        return item
    merged.file_meta = item.file_meta
    merged.set_original_encoding(*item.original_encoding)
    if "PresentationLUTShape" in item:
        merged.PresentationLUTShape = item.PresentationLUTShape
    merged.reading_of_frame = reading
    return merged


def grey_picture(pixels: np.ndarray, item: Any, index: int, name: str) -> Picture:
    """The frame `index` from 0, of one value a pixel, whose stored pixels [h, w] are given."""
    presentation = _presentation(item, name)
    held = next(keyword for keyword in _PADDING if keyword in item)
    item = _of_frame(item, index)
    check_numbers(item, name)
    padding = _padding(pixels, item, held)
    values, modality = _modality(pixels, item, name)
    bits = int(item.get("BitsStored", 8 * pixels.itemsize))
    usual, said, reading = _transform(item, values, bits, padding, name)
    if presentation is not None:
        usual = partial(_presented, shades=usual, table=presentation)
    is_inverse, photometric = _shape(item) == "INVERSE", photometric_of(item)
    inverted = photometric == "MONOCHROME1" or is_inverse
    changes = [
        modality,
        reading,
        "inverse" if is_inverse and photometric == "MONOCHROME2" else "",
        getattr(item, "reading_of_frame", ""),
        "presentation table" if presentation is not None else "",
    ]
    return DeepPicture(
        name,
        f"DICOM {photometric}, {bits} bits",
        ", ".join(filter(None, changes)),
        said,
        stored=values,
        usual=usual,
        inverted=inverted,
        padding=padding,
    )


def _modality(pixels: np.ndarray, item: Any, name: str) -> tuple[np.ndarray, str]:
    """The stored pixels through the modality transform of their object, and what of it is newer
    than earlier versions."""
    from pydicom.pixels import apply_modality_lut

    if item.get("ModalityLUTSequence"):
        # pydicom subtracts and clips in the type of the pixels, which may not hold the places
        if not np.issubdtype(pixels.dtype, np.integer):
            raise LayerhouseError(
                f"{name} has a Modality LUT Sequence (0028,3000) over floating numbers, which have "
                "no places in a table; export it without one"
            )
        table = _plain(item.ModalityLUTSequence[0], item, _stored(item), name)
        farthest = int(pixels.max()) - table.ModalityLUTSequence[0].LUTDescriptor[1]
        went_round = farthest > np.iinfo(pixels.dtype).max
        shades: np.ndarray = apply_modality_lut(pixels.astype(np.int64), table)
        return shades, MODALITY_TABLE if went_round else ""
    values: np.ndarray = apply_modality_lut(pixels, _rescaled(item, name))
    return values, ""


def _plain(table: Any, item: Any, possible: tuple[float, float], name: str) -> Any:
    """A lookup table as numbers of 8 or 16 bits, however it is written, in an object of its own."""
    from pydicom.dataset import Dataset

    entries, first, bits = _entries(table, item, name)
    plain, held = Dataset(), Dataset()
    held.LUTDescriptor = [
        len(entries) % 2**16,
        _first(possible, first, len(entries)),
        8 if bits == 8 and max(entries) < 2**8 else 16,
    ]
    held.add_new("LUTData", "US", entries)
    plain.ModalityLUTSequence = [held]
    return plain


def _rescaled(item: Any, name: str) -> Any:
    """The slope and intercept that an object says; what is written empty says none.

    LayerhouseError for a slope of 0, which makes one value of all.
    """
    said = {key: item.get(key) for key in ("RescaleSlope", "RescaleIntercept")}
    if said["RescaleSlope"] == 0:
        raise LayerhouseError(
            f"{name} says a Rescale Slope of 0 (0028,1053), which makes one value of all pixels; "
            "correct it in the file, or leave it out"
        )
    if None not in said.values():
        return item
    from pydicom.dataset import Dataset

    plain = Dataset()
    plain.RescaleSlope = 1 if said["RescaleSlope"] is None else said["RescaleSlope"]
    plain.RescaleIntercept = 0 if said["RescaleIntercept"] is None else said["RescaleIntercept"]
    return Dataset() if set(said.values()) == {None} else plain


def _transform(
    item: Any, values: np.ndarray, bits: int, padding: np.ndarray | None, name: str
) -> Any:
    """How values become shades, who says so, and what of it is newer than earlier versions."""
    if item.get("VOILUTSequence") and item.VOILUTSequence[0].get("LUTDescriptor"):
        n_entries, first, entry_bits = item.VOILUTSequence[0].LUTDescriptor
        is_newer = (entry_bits == 8 and n_entries > 256) or first != _first(
            _possible(item), first, n_entries
        )
        reading = "lookup table" if is_newer else ""
        return partial(_through_table, item=item, name=name), Scale.OWN, reading
    if item.get("WindowWidth") is not None and item.get("WindowCenter") is not None:
        return partial(_windowed, item=item, name=name), Scale.OWN, ""
    if bits <= 8 and values.dtype == np.uint8:  # no transform at all, and no more than a screen has
        full = 2**bits - 1
        same = (values.min(), values.max()) == (0, full)
        return partial(between, low=0, high=full), Scale.OWN, "" if same else "as stored"
    found = meant(values, padding)
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 0.0)
    left_out = padding is not None and padding.any()
    return partial(between, low=low, high=high), Scale.GUESSED, "padding" if left_out else ""


_PADDING = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def _padding(pixels: np.ndarray, item: Any, held: str) -> np.ndarray | None:
    """Where stored values are padding, PS3.3 C.7.5.1.1.2; `held` is the element of the pixels."""
    said, limit = (item.get(keyword) for keyword in _PADDING[held])
    if said is None or np.issubdtype(pixels.dtype, np.integer) != (held == "PixelData"):
        return None
    # written as signed or unsigned without regard to what pixels are, or in as few bits as these
    values = [
        np.array(value).astype(pixels.dtype).item()
        for value in (said, said if limit is None else limit)
    ]
    if held == "PixelData" and item.get("PixelRepresentation"):
        highest = _stored(item)[1]
        values = [value - (2 * highest + 2) * (value > highest) for value in values]
    low, high = sorted(values)
    found: np.ndarray = (pixels >= low) & (pixels <= high)
    return found


def _through_table(values: np.ndarray, item: Any, name: str) -> np.ndarray:
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_voi

    # pydicom counts places in the type of the entries, so bytes would end at place 255
    entries, first, bits = _entries(item.VOILUTSequence[0], item, name)
    _check_depth(entries, bits, name)
    table, plain = Dataset(), Dataset()
    table.LUTDescriptor = [len(entries) % 2**16, _first(_possible(item), first, len(entries)), 16]
    table.add_new("LUTData", "US", entries)
    plain.VOILUTSequence = [table]
    shades: np.ndarray = apply_voi(values.astype(np.int64), plain) / (2**bits - 1)
    return shades


def _first(possible: tuple[float, float], said: int, n_entries: int) -> int:
    """The value that the first entry of a table is for, which is often written with or without a
    sign regardless: it has one where the values may be negative, PS3.3 C.11.1.1.1 and C.11.2.1.1.
    Where that would be a table for none of the values that there can be, and as it is written for
    some, it is meant as written.
    """
    low, high = possible
    meant_first = (said + 2**15) % 2**16 - 2**15 if low < 0 else said % 2**16
    for first in (meant_first, said):
        if first <= high and first + (n_entries or 2**16) > low:
            return first
    return meant_first


def _possible(item: Any) -> tuple[float, float]:
    """The smallest and largest values that the modality's transform may give."""
    if item.get("ModalityLUTSequence"):
        return 0, 2**16 - 1
    lowest, highest = _stored(item)
    slope, intercept = item.get("RescaleSlope"), float(item.get("RescaleIntercept") or 0)
    factor = 1 if slope is None else float(slope)
    ends = sorted(stored * factor + intercept for stored in (lowest, highest))
    return ends[0], ends[1]


def _stored(item: Any) -> tuple[int, int]:
    """The smallest and largest values that can be stored."""
    bits = int(item.get("BitsStored") or item.BitsAllocated)
    lowest = -(2 ** (bits - 1)) if item.get("PixelRepresentation") else 0
    return lowest, lowest + 2**bits - 1


def _entries(table: Any, item: Any, name: str) -> tuple[list[int], int, int]:
    """The entries of a lookup table, the value that the first is for, and their bits."""
    n_entries, first, bits = table.LUTDescriptor
    entries, n_entries = table.LUTData, n_entries or 2**16
    if isinstance(entries, bytes):
        order = "<" if item.original_encoding[1] else ">"
        kind = "u1" if len(entries) < 2 * n_entries else f"{order}u2"
        entries = np.frombuffer(entries, kind).tolist()
    entries = list(entries)
    if len(entries) < n_entries:
        raise LayerhouseError(
            f"{name} says a lookup table of {n_entries:,} entries (0028,3002) and holds "
            f"{len(entries):,}; it is damaged, so copy or export it again"
        )
    return entries[:n_entries], first, bits


def _check_depth(entries: list[int], bits: int, name: str) -> None:
    """LayerhouseError for shades beyond the white that their number of bits says."""
    if max(entries) >= 2**bits:
        raise LayerhouseError(
            f"{name} says a lookup table with entries of {bits} bits (0028,3002) and holds "
            f"{max(entries):,} in it; correct it in the file, or leave it out"
        )


def _presentation(item: Any, name: str) -> np.ndarray | None:
    """The shades 0…1 that the last table gives, from black to white, PS3.3 C.11.6; None without.

    LayerhouseError for what says twice, or in densities of film, what is black.
    """
    shape = _shape(item)
    if shape not in ("", "IDENTITY", "INVERSE"):
        raise LayerhouseError(
            f"{name} says the Presentation LUT Shape {shape} (2050,0020), which is not read here; "
            "IDENTITY and INVERSE are, so export it anew"
        )
    if not item.get("PresentationLUTSequence"):
        return None
    if photometric_of(item) == "MONOCHROME1" or shape == "INVERSE":
        raise LayerhouseError(
            f"{name} has a Presentation LUT Sequence (2050,0010) and says beside it that its values"
            " are inverted, so that it is not known what is black; export it as MONOCHROME2"
        )
    entries, _, bits = _entries(item.PresentationLUTSequence[0], item, name)
    _check_depth(entries, bits, name)
    return np.array(entries) / (2**bits - 1)


def _presented(values: np.ndarray, shades: Any, table: np.ndarray) -> np.ndarray:
    places = np.nan_to_num(shades(values)) * (len(table) - 1)
    found: np.ndarray = table[places.round().astype(int)]
    return found


def _shape(item: Any) -> str:
    return str(item.get("PresentationLUTShape") or "").strip().upper()


def _windowed(values: np.ndarray, item: Any, name: str) -> np.ndarray:
    """Through the first of the windows: others are alternatives, PS3.3 C.11.2.1.2.

    LayerhouseError for a window of no width, which shows nothing.
    """
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_windowing

    function = str(item.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise LayerhouseError(
            f"{name} says the VOI LUT Function {function} (0028,1056), which is none of the "
            "standard; `datasets add … --window CENTER,WIDTH` says what is shown"
        )
    width = item["WindowWidth"].value
    width = float(width if item["WindowWidth"].VM == 1 else width[0])
    least = 1 if function == "LINEAR" else 0
    if not width > 0 or width < least:
        raise LayerhouseError(
            f"{name} says a window of width {width:g} (0028,1051), in which nothing is seen; "
            "`datasets add … --window CENTER,WIDTH` or `--range LOW,HIGH` says what is shown"
        )
    # pydicom scales to what the stored bits could hold; of an unsigned byte that is 0…255
    plain = Dataset()
    plain.PhotometricInterpretation = "MONOCHROME2"
    plain.BitsStored, plain.PixelRepresentation = 8, 0
    plain.VOILUTFunction = function
    for key in ("WindowCenter", "WindowWidth"):
        plain[key] = item[key]
    return apply_windowing(values, plain) / 255
