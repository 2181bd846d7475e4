"""Small DICOM files of every encoding, made of pixels that a test knows."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit


def dicom(pixels: np.ndarray, photometric: str = "MONOCHROME2", **elements: Any) -> Any:
    """An uncompressed image object: [h, w], [frames, h, w] or [h, w, 3] of 8 or 16 bits."""
    item = pydicom.Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    item.SOPInstanceUID = pydicom.uid.generate_uid()
    is_colour = pixels.ndim == 3 and not photometric.startswith("MONOCHROME")
    item.Rows, item.Columns = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    if pixels.ndim == 3 and not is_colour:
        item.NumberOfFrames = len(pixels)
    bits = 8 * pixels.itemsize
    item.SamplesPerPixel = 3 if is_colour else 1
    item.PhotometricInterpretation = photometric
    if is_colour:
        item.PlanarConfiguration = 0
    item.BitsAllocated = item.BitsStored = bits
    item.HighBit = bits - 1
    item.PixelRepresentation = int(pixels.dtype.kind == "i")
    item.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in elements.items():
        setattr(item, name, value)
    if "BitsStored" in elements:
        item.HighBit = item.BitsStored - 1
    item["PixelData"].VR = "OW" if bits > 8 else "OB"
    return item


def write(path: Path, item: Any, syntax: UID | None = None) -> str:
    """The object as a file, compressed by pydicom's own encoders where a syntax is given."""
    if syntax is not None and syntax.is_encapsulated:
        item.compress(syntax, generate_instance_uid=False)
    elif syntax is not None:
        item.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    item.save_as(path, enforce_file_format=True)
    return str(path)


def encapsulated(item: Any, codestream: bytes, syntax: UID = JPEGBaseline8Bit) -> Any:
    """The object with pixels that somebody else compressed."""
    item.file_meta.TransferSyntaxUID = syntax
    item.PixelData = encapsulate([codestream])
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    return item


def jpeg(rgb: np.ndarray, *, marker: str = "jfif", stored: str = "ycc", ids: bytes = b"") -> bytes:
    """JPEG of nearly no loss: stored as YCbCr or as RGB, with or without a marker that says so."""
    buffer = io.BytesIO()
    keep = stored == "rgb"
    Image.fromarray(rgb).save(buffer, "JPEG", quality=100, subsampling=0, keep_rgb=keep)
    made = buffer.getvalue()
    if made[2:4] == b"\xff\xe0":  # drop JFIF
        made = made[:2] + made[4 + int.from_bytes(made[4:6], "big") :]
    if made[2:4] == b"\xff\xee":  # drop Adobe
        made = made[:2] + made[4 + int.from_bytes(made[4:6], "big") :]
    said = {
        "none": b"",
        "jfif": b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0",
        "adobe": b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([int(stored == "ycc")]),
    }[marker]
    made = made[:2] + said + made[2:]
    return _renamed(made, ids or b"\x01\x02\x03")


def _renamed(codestream: bytes, ids: bytes) -> bytes:
    """The codestream with other names for its components, in the frame and in the scan."""
    made = bytearray(codestream)
    frame = made.index(b"\xff\xc0") + 10
    scan = made.index(b"\xff\xda") + 5
    for number in range(3):
        made[frame + 3 * number] = made[scan + 2 * number] = ids[number]
    return bytes(made)


def ybr(rgb: np.ndarray) -> np.ndarray:
    from pydicom.pixels import convert_color_space

    return convert_color_space(rgb, "RGB", "YBR_FULL")


def recompressed(path: str, syntax: str) -> str:
    """The file compressed anew by gdcm, which writes JPEG Lossless; `syntax` is its word for it."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(path)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


def with_palette(item: Any, table: np.ndarray, first: int = 0, bits: int = 16) -> Any:
    """The object with three colour tables [n, 3] whose first place is for the value `first`."""
    item.PhotometricInterpretation = "PALETTE COLOR"
    for name, entries in zip(("Red", "Green", "Blue"), table.T, strict=True):
        descriptor = [len(table) % 2**16, first, bits]
        setattr(item, f"{name}PaletteColorLookupTableDescriptor", descriptor)
        setattr(item, f"{name}PaletteColorLookupTableData", entries.tobytes())
    return item


# Nothing we install writes JPEG of twelve bits; libjpeg-turbo 3 wrote this, of `HT_STRIPES` ± 1.
TWELVE_BITS = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wQALDAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAB//EACMQ"
    "AAAEAwkAAAAAAAAAAAAAABUXGRsLFhgaHB4kRkpoaYn/2gAIAQEAAD8AP2PnD3xud73MWIvpZYP1N09/WaNJUXm6"
    "XnLCQRfWofnf/9k="
)

# Nothing we install writes High-Throughput JPEG 2000; OpenJPH 0.26 wrote these, nothing lost.
HT_COLOURS = np.array([[[200, 40, 40], [40, 60, 200]], [[10, 220, 30], [128, 128, 128]]], np.uint8)
HT_COLOURS = HT_COLOURS.repeat(4, axis=0).repeat(4, axis=1)
HT_STRIPES = np.tile(np.arange(0, 256, 32, dtype=np.uint16), (8, 1))
HT_STRIPES[4:] = 255 - HT_STRIPES[4:]
HT_STRIPES *= 16
HT_OF_COLOURS = base64.b64decode(
    "/0//UQAvQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwA"
    "AgABAQUEBEAB/1wAEyBQWFhYWFhYWFhYWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAQwA"
    "Af+TwBKAxQCHdADAEgAAR3QAwBKA5ACHdAAAAAAAAADACWAEsAIw8gDHdADQAId0ACdzAMAJYASwAlA8AYd0AHMB"
    "h3QA7ACHdADACWAE0AJQsQEHdABB/gIHdABSAgd0AMAJYATgO/AjMwALJfQAALQAwAqIAVEAJY1Jj+oAQZQA5Biq"
    "9ACAtABeBWMzAMAKiAFTACoARIVJHADDNAAa6kCJ8AEDNAD22k3xAIM0AMATQBUAyQAqAnUA5ynlACSnVQDAFVAF"
    "VAEoi8Kt9wETiAJ2ALxCiOIAAACnVgD4AMPUAMAVUAVMASgycSj6AROIAnYAcEV5/gAwp1UAwgED1AD/2Q=="
)
"""`HT_COLOURS` [8, 8, 3], with the codestream's own colour transform."""
HT_OF_STRIPES = base64.b64decode(
    "/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE"
    "BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAHsAAf+TwAAm"
    "kfMFB3QAAADAABNAABNAABMAZvkDB3QAQv4DB3QANeYEB3QAwAATwAAVUAAE4A4+5gDBVADtoT+YMgkBwzQAHvrR"
    "AMFUAMAAKmAAFZAACUD++/PvoBSiVQDvf78DHPIAhAMedgD+oIPUAP/Z"
)
"""`HT_STRIPES` [8, 8], of twelve bits in sixteen."""
