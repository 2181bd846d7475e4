"""Grey in DICOM: through the modality transform, then the VOI transform, as PS3.3 C.11 orders them.

The transforms are pydicom's own; what is decided here is which of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from warehouse.errors import LayerhouseError
from warehouse.images.pictures import DeepPicture, Picture, Scale, between, meant


def _of_frame(item: Any, index: int) -> Any:
    """The data set as it holds for one frame: enhanced objects say transforms per frame."""
    from pydicom.dataset import Dataset

    groups = [
        *item.get("SharedFunctionalGroupsSequence", [])[:1],
        *item.get("PerFrameFunctionalGroupsSequence", [])[index : index + 1],
    ]
    said = Dataset()
    for group in groups:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for part in group.get(name, [])[:1]:
                said.update(part)
    if not said:
        return item
    merged = Dataset()
    merged.update({tag: item[tag] for tag in item.keys() if tag.group == 0x0028})  # noqa: SIM118
    merged.update(said)
    merged.file_meta = item.file_meta
    merged.set_original_encoding(*item.original_encoding)
    if "PresentationLUTShape" in item:
        merged.PresentationLUTShape = item.PresentationLUTShape
    merged.is_of_frame = True
    return merged


def grey_picture(pixels: np.ndarray, item: Any, index: int, name: str) -> Picture:
    """The frame `index` from 0, of one value a pixel, whose stored pixels [h, w] are given."""
    from pydicom.pixels import apply_modality_lut

    item = _of_frame(item, index)
    padding = _padding(pixels, item)
    values = apply_modality_lut(pixels, item)
    bits = int(item.get("BitsStored", 8 * pixels.itemsize))
    usual, said, reading = _transform(item, values, bits, padding, name)
    is_inverse = str(item.get("PresentationLUTShape", "")).strip().upper() == "INVERSE"
    inverted = item.PhotometricInterpretation == "MONOCHROME1" or is_inverse
    changes = [
        reading,
        "inverse" if is_inverse and item.PhotometricInterpretation == "MONOCHROME2" else "",
        "functional groups" if hasattr(item, "is_of_frame") else "",
    ]
    return DeepPicture(
        name,
        f"DICOM {item.PhotometricInterpretation}, {bits} bits",
        ", ".join(filter(None, changes)),
        said,
        stored=values,
        usual=usual,
        inverted=inverted,
        padding=padding,
    )


def _transform(
    item: Any, values: np.ndarray, bits: int, padding: np.ndarray | None, name: str
) -> Any:
    """How values become shades, who says so, and what of it is newer than earlier versions."""
    if item.get("VOILUTSequence"):
        n_entries, _, entry_bits = item.VOILUTSequence[0].LUTDescriptor
        reading = "lookup table" if entry_bits == 8 and n_entries > 256 else ""
        return partial(_through_table, item=item), Scale.OWN, reading
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


def _padding(pixels: np.ndarray, item: Any) -> np.ndarray | None:
    """Where stored values are padding, PS3.3 C.7.5.1.1.2."""
    said = item.get("PixelPaddingValue")
    if said is None or not np.issubdtype(pixels.dtype, np.integer):
        return None
    limit = item.get("PixelPaddingRangeLimit")
    # written as signed or unsigned without regard to what pixels are
    low, high = sorted(
        int(np.array(value).astype(pixels.dtype))
        for value in (said, said if limit is None else limit)
    )
    found: np.ndarray = (pixels >= low) & (pixels <= high)
    return found


def _through_table(values: np.ndarray, item: Any) -> np.ndarray:
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_voi

    # pydicom counts places in the type of the entries, so bytes would end at place 255
    said = item.VOILUTSequence[0]
    n_entries, first, bits = said.LUTDescriptor
    entries = said.LUTData
    if isinstance(entries, bytes):
        is_bytes = len(entries) < 2 * (n_entries or 2**16)
        order = "<" if item.original_encoding[1] else ">"
        entries = np.frombuffer(entries, "u1" if is_bytes else f"{order}u2").tolist()
    table, plain = Dataset(), Dataset()
    table.LUTDescriptor = [n_entries, first, 16]
    table.add_new("LUTData", "US", entries)
    plain.VOILUTSequence = [table]
    shades: np.ndarray = apply_voi(values.astype(np.int64), plain) / (2**bits - 1)
    return shades


def _windowed(values: np.ndarray, item: Any, name: str) -> np.ndarray:
    """Through the first of the windows: others are alternatives, PS3.3 C.11.2.1.2.

    LayerhouseError for a window of no width, which shows nothing.
    """
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_windowing

    width = item["WindowWidth"].value
    width = float(width if item["WindowWidth"].VM == 1 else width[0])
    least = 1 if item.get("VOILUTFunction", "LINEAR") in ("LINEAR", "") else 0
    if not width > 0 or width < least:
        raise LayerhouseError(
            f"{name} says a window of width {width:g} (0028,1051), in which nothing is seen; "
            "`datasets add … --window CENTER,WIDTH` or `--range LOW,HIGH` says what is shown"
        )
    # pydicom scales to what the stored bits could hold; of an unsigned byte that is 0…255
    plain = Dataset()
    plain.PhotometricInterpretation = "MONOCHROME2"
    plain.BitsStored, plain.PixelRepresentation = 8, 0
    for key in ("WindowCenter", "WindowWidth", "VOILUTFunction"):
        if key in item:
            plain[key] = item[key]
    return apply_windowing(values, plain) / 255
