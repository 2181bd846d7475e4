"""DICOM of rarer forms against what the standard says of each, pixel by pixel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

from tests.warehouse.images.dicom_files import dicom, encapsulated, with_palette, write
from tests.warehouse.images.test_dicom import RAMP, RGB, grey, lookup, opened
from warehouse.errors import LayerhouseError
from warehouse.images import open_image
from warehouse.images.opening import picture_at

STEPS = np.array([[0, 500, 1000, 2000], [3000, 3500, 4000, 4095]], "<u2")


def said(**elements: Any) -> Any:
    item = pydicom.Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def frame(path: str, number: int) -> np.ndarray:
    return np.asarray(open_image(f"{path}#frame={number}"))[..., 0].astype(int)


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1."""
    shades = (values.astype(float) - (center - 0.5)) / (width - 1) + 0.5
    return (shades.clip(0, 1) * 255).round()


def test_every_frame_goes_through_the_slope_and_the_window_of_its_own(tmp_path: Path) -> None:
    item = dicom(np.stack([STEPS] * 3), BitsStored=12)
    transforms = [(1, 0, "LINEAR"), (2, -100, "SIGMOID"), (-1, 4095, "LINEAR_EXACT")]
    item.PerFrameFunctionalGroupsSequence = [
        said(
            PixelValueTransformationSequence=[said(RescaleSlope=slope, RescaleIntercept=zero)],
            FrameVOILUTSequence=[said(WindowCenter=2000, WindowWidth=4000, VOILUTFunction=how)],
        )
        for slope, zero, how in transforms
    ]
    path = write(tmp_path / "a.dcm", item)
    assert np.array_equal(frame(path, 1), linear(STEPS, 2000, 4000))
    curve = 255 / (1 + np.exp(-4 * (STEPS * 2.0 - 100 - 2000) / 4000))
    assert np.abs(frame(path, 2) - curve).max() <= 1
    line = (((4095.0 - STEPS - 2000) / 4000 + 0.5).clip(0, 1) * 255).round()
    assert np.array_equal(frame(path, 3), line)


@pytest.mark.parametrize(
    "of_all",
    [
        {"VOILUTSequence": lookup(LUTDescriptor=[2, 0, 8], LUTData=[255, 0])},
        {"VOILUTFunction": "SIGMOID", "WindowCenter": 9, "WindowWidth": 9},
        {"ModalityLUTSequence": lookup(LUTDescriptor=[2, 0, 16], LUTData=[1, 0])},
    ],
)
def test_what_is_said_of_all_frames_does_not_mix_with_what_one_says_of_itself(
    tmp_path: Path, of_all: dict[str, Any]
) -> None:
    item = dicom(STEPS[None].repeat(2, 0), BitsStored=12, **of_all)
    item.SharedFunctionalGroupsSequence = [
        said(
            PixelValueTransformationSequence=[said(RescaleSlope=1, RescaleIntercept=0)],
            FrameVOILUTSequence=[said(WindowCenter=2000, WindowWidth=4000)],
        )
    ]
    path = write(tmp_path / "a.dcm", item)
    assert np.array_equal(frame(path, 2), linear(STEPS, 2000, 4000))
    # earlier versions showed it otherwise
    assert "functional groups alone" in picture_at(f"{path}#frame=2").reading


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.RLELossless])
def test_colours_of_jpeg_lie_pixel_by_pixel_whatever_the_data_set_says(
    tmp_path: Path, syntax: uid.UID
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    item = dicom(pixels[0], "RGB")
    item.NumberOfFrames, item.PixelData = 2, pixels.tobytes()
    item.compress(syntax, generate_instance_uid=False)
    for planes in (0, 1):
        item.PlanarConfiguration = planes
        path = write(tmp_path / "a.dcm", item)
        for number in (1, 2):
            found = np.asarray(open_image(f"{path}#frame={number}"))
            assert np.array_equal(found, pixels[number - 1])
    is_newer = syntax == uid.JPEG2000Lossless
    assert ("colour" in picture_at(f"{path}#frame=1").reading) == is_newer


@pytest.mark.parametrize("form", ["no table", "parts", "parts without table", "long table"])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_compressed_frames_are_found_however_they_are_laid_out(
    tmp_path: Path, syntax: uid.UID, form: str
) -> None:
    ramp = np.add.outer(np.arange(32), np.arange(32))
    frames = np.stack([ramp * n % 4096 for n in (5, 17, 31)]).astype("<u2")
    item = dicom(frames, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    item.compress(syntax, generate_instance_uid=False)
    encoded = list(generate_frames(item.PixelData, number_of_frames=3))
    if form == "long table":
        made = encapsulate_extended(encoded)
        item.PixelData, item.ExtendedOffsetTable, item.ExtendedOffsetTableLengths = made
    else:
        n_parts = 2 if form.startswith("parts") else 1
        has_table = form == "parts"
        item.PixelData = encapsulate(encoded, fragments_per_frame=n_parts, has_bot=has_table)
    path = write(tmp_path / "a.dcm", item)
    assert np.array_equal(frame(path, 2), linear(frames[1], 2048, 4096))


@pytest.mark.parametrize("has_table", [True, False])
def test_more_compressed_frames_than_are_said_are_told(tmp_path: Path, has_table: bool) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, "JPEG")
    item = encapsulated(dicom(RAMP), buffer.getvalue())
    item.PixelData = encapsulate([buffer.getvalue()] * 2, has_bot=has_table)
    with pytest.raises(LayerhouseError, match="holds 2 frames or so, where it says one"):
        opened(tmp_path, item)


def test_padding_of_floating_numbers_is_no_shade(tmp_path: Path) -> None:
    values = np.array([[-9999, 0, 1, 2], [3, 4, 5, -9999]])
    for kind, keyword in (("<f4", "FloatPixel"), ("<f8", "DoubleFloatPixel")):
        item = dicom(values.astype(kind))
        del item.PixelData
        setattr(item, f"{keyword}Data", values.astype(kind).tobytes())
        setattr(item, f"{keyword}PaddingValue", -9999.0)
        expected = [[0, 0, 51, 102], [153, 204, 255, 0]]
        assert grey(tmp_path, item).tolist() == expected


def test_frames_of_single_bits_end_within_bytes(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (2, 3, 5))
    item = dicom(np.zeros((2, 3, 5), np.uint8), BitsAllocated=1, BitsStored=1)
    item.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    path = write(tmp_path / "a.dcm", item)
    for number in (1, 2):
        assert np.array_equal(frame(path, number), bits[number - 1] * 255)


def in_segments(ends: tuple[int, int, int], kind: str, n_entries: int, bits: int) -> Any:
    """Colours on straight lines from 0 to each of `ends`, PS3.3 C.7.9.2."""
    item = with_palette(dicom(RAMP), np.zeros((n_entries, 3), kind), bits=bits)
    for name, end in zip(("Red", "Green", "Blue"), ends, strict=True):
        delattr(item, f"{name}PaletteColorLookupTableData")
        program = np.array([0, 1, 0, 1, 255, end], kind).tobytes()
        setattr(item, f"Segmented{name}PaletteColorLookupTableData", program)
    return item


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("<u2", 16)])
def test_segments_of_words_may_hold_bytes(tmp_path: Path, kind: str, bits: int) -> None:
    found = opened(tmp_path, in_segments((255, 10, 0), kind, 256, bits)).astype(int)
    lines = np.stack([np.linspace(0, end, 256) for end in (255, 10, 0)], axis=-1)
    assert np.abs(found - lines[RAMP]).max() <= 1
    newer = picture_at(str(tmp_path / "a.dcm")).reading == "palette of bytes in segments"
    assert newer == (bits == 16)


def test_a_palette_of_twelve_bits_reaches_white(tmp_path: Path) -> None:
    table = (np.arange(256) * 4095 / 255).round().astype("<u2")
    item = with_palette(dicom(RAMP), np.stack([table] * 3, axis=1), bits=12)
    assert np.array_equal(opened(tmp_path, item)[..., 0], RAMP)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tables_of_big_endian_objects(tmp_path: Path, order: str) -> None:
    item = in_segments((65535, 65535, 65535), f"{order}u2", 256, 16)
    item["PixelData"].VR = "OB"
    item.file_meta.TransferSyntaxUID = (
        uid.ExplicitVRBigEndian if order == ">" else uid.ExplicitVRLittleEndian
    )
    path = tmp_path / "a.dcm"
    item.save_as(path, implicit_vr=False, little_endian=order == "<")
    assert np.abs(np.asarray(open_image(str(path)))[..., 1].astype(int) - RAMP).max() <= 1


def with_short_palette() -> Any:
    item = with_palette(dicom(RAMP), np.zeros((100, 3), "<u2"))
    item.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
    return item


def of_kind(kind: str) -> Any:
    item = dicom(RAMP)
    item.SOPClassUID = kind
    return item


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (of_kind("1.2.840.10008.5.1.4.1.1.66.7"), "is a segmentation, not a picture"),
        (
            dicom(
                STEPS,
                BitsStored=12,
                VOILUTSequence=lookup(LUTDescriptor=[4096, 0, 10], LUTData=list(range(4096))),
            ),
            r"entries of 10 bits \(0028,3002\) and holds 4,095 in it; correct it",
        ),
        (
            dicom(
                STEPS,
                BitsStored=12,
                PresentationLUTSequence=lookup(LUTDescriptor=[2, 0, 8], LUTData=[0, 256]),
            ),
            r"entries of 8 bits \(0028,3002\) and holds 256",
        ),
        (
            in_segments((255, 255, 255), "u1", 512, 8),
            r"a table of 512 colours of 8 bits in segments .*; export it in RGB",
        ),
        (
            with_short_palette(),
            "says a table of 256 colours .* and holds fewer; it is damaged",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path: Path, item: Any, message: str) -> None:
    with pytest.raises(LayerhouseError, match=message):
        opened(tmp_path, item)


def test_colours_are_exact_also_in_planes_of_several_frames(tmp_path: Path) -> None:
    item = dicom(RGB, "RGB", PlanarConfiguration=1, NumberOfFrames=2)
    item.PixelData = b"".join(pixels.transpose(2, 0, 1).tobytes() for pixels in (RGB, 255 - RGB))
    path = write(tmp_path / "a.dcm", item)
    assert np.array_equal(np.asarray(open_image(f"{path}#frame=2")), 255 - RGB)
