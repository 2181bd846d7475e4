"""DICOM of every colour space and encoding opens as the colours that are known of it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import convert_color_space

from tests.warehouse.images.dicom_files import (
    HT_COLOURS,
    HT_OF_COLOURS,
    HT_OF_STRIPES,
    HT_STRIPES,
    TWELVE_BITS,
    dicom,
    encapsulated,
    jpeg,
    recompressed,
    with_palette,
    write,
    ybr,
)
from warehouse.errors import LayerhouseError
from warehouse.images import is_dicom, open_image, picture_at

LOSSLESS = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)
RGB = np.array(
    [[[200, 40, 40], [40, 60, 200], [0, 0, 0], [255, 255, 255]],
     [[1, 254, 3], [90, 91, 92], [0, 255, 0], [17, 0, 255]]],
    np.uint8,
).repeat(16, axis=0).repeat(8, axis=1)  # fmt: skip
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(2, axis=0).repeat(2, axis=1)


def opened(path: Path, item: Any, syntax: uid.UID | None = None) -> np.ndarray:
    return np.asarray(open_image(write(path / "a.dcm", item, syntax)))


def grey(path: Path, item: Any, syntax: uid.UID | None = None) -> np.ndarray:
    found = opened(path, item, syntax)
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()
    return found[..., 0]


each_lossless = pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)


@each_lossless
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_eight_bits_of_grey_are_shown_as_stored(
    tmp_path: Path, syntax: uid.UID, photometric: str
) -> None:
    found = grey(tmp_path, dicom(RAMP // 2, photometric), syntax)
    assert np.array_equal(found, RAMP // 2 if photometric == "MONOCHROME2" else 255 - RAMP // 2)


@each_lossless
def test_twelve_bits_of_sixteen_are_shown_through_the_window(
    tmp_path: Path, syntax: uid.UID
) -> None:
    stored = np.array([[0, 1000, 1500, 2000, 4000]] * 32, np.uint16).repeat(8, axis=1)
    item = dicom(stored, BitsStored=12, WindowCenter=1500.5, WindowWidth=1001)
    assert grey(tmp_path, item, syntax)[0, ::8].tolist() == [0, 0, 128, 255, 255]


@each_lossless
def test_one_picture_of_eight_and_of_twelve_bits_is_shown_alike(
    tmp_path: Path, syntax: uid.UID
) -> None:
    """Sixteen times the values through a window sixteen times as wide."""
    shallow = dicom(RAMP, WindowCenter=120.5, WindowWidth=161)
    center, width = 16 * (120.5 - 0.5) + 0.5, 16 * (161 - 1) + 1
    stored = RAMP.astype("<u2") * 16
    deep = dicom(stored, BitsStored=12, WindowCenter=center, WindowWidth=width)
    seen = [grey(tmp_path / name, item, syntax).astype(int) for name, item in
            (("shallow", shallow), ("deep", deep))]  # fmt: skip
    assert (seen[0].min(), seen[0].max()) == (0, 255)
    assert np.abs(seen[0] - seen[1]).max() <= 1


@each_lossless
def test_rgb_is_exact(tmp_path: Path, syntax: uid.UID) -> None:
    assert np.array_equal(opened(tmp_path, dicom(RGB, "RGB"), syntax), RGB)


def test_rgb_plane_by_plane_is_exact(tmp_path: Path) -> None:
    item = dicom(RGB, "RGB", PlanarConfiguration=1)
    item.PixelData = np.ascontiguousarray(RGB.transpose(2, 0, 1)).tobytes()
    assert np.array_equal(opened(tmp_path, item), RGB)


@each_lossless
def test_ybr_full_becomes_rgb_once(tmp_path: Path, syntax: uid.UID) -> None:
    stored = ybr(RGB)
    expected = convert_color_space(stored, "YBR_FULL", "RGB")
    assert np.abs(expected.astype(int) - RGB).max() <= 2
    assert np.array_equal(opened(tmp_path, dicom(stored, "YBR_FULL"), syntax), expected)


def test_ybr_full_422_uncompressed_becomes_rgb_once(tmp_path: Path) -> None:
    """Two pixels share their colour: y1 y2 cb cr."""
    pairs = ybr(RGB)[:, ::2]
    stored = np.stack([pairs[..., 0], pairs[..., 0], pairs[..., 1], pairs[..., 2]], axis=-1)
    item = dicom(RGB, "YBR_FULL_422")
    item.PixelData = stored.tobytes()
    expected = convert_color_space(pairs, "YBR_FULL", "RGB").repeat(2, axis=1)
    assert np.array_equal(opened(tmp_path, item), expected)


@pytest.mark.parametrize(
    ("marker", "stored", "ids", "photometric"),
    [
        ("jfif", "ycc", b"", "YBR_FULL_422"),
        ("jfif", "ycc", b"", "RGB"),
        ("adobe", "ycc", b"", "YBR_FULL_422"),
        ("adobe", "ycc", b"", "RGB"),
        ("adobe", "rgb", b"", "RGB"),
        ("adobe", "rgb", b"", "YBR_FULL_422"),
        ("none", "ycc", b"", "YBR_FULL_422"),
        ("none", "ycc", b"", "YBR_FULL"),
        ("none", "rgb", b"", "RGB"),
        ("none", "rgb", b"RGB", "RGB"),
        ("none", "rgb", b"RGB", "YBR_FULL_422"),
        ("none", "rgb", b"rgb", "YBR_FULL_422"),
    ],
)
def test_jpeg_is_read_as_its_markers_say(
    tmp_path: Path, marker: str, stored: str, ids: bytes, photometric: str
) -> None:
    """Flat colours at quality 100: what is wrong is wrong by far more than 4 of 255."""
    codestream = jpeg(RGB, marker=marker, stored=stored, ids=ids)
    item = encapsulated(dicom(RGB, photometric), codestream)
    found = opened(tmp_path, item).astype(int)
    assert np.abs(found - RGB).max() <= 4


def test_jpeg_with_colour_at_half_width_is_ycbcr_whatever_the_data_set_says(tmp_path: Path) -> None:
    """gdcm writes such files: no marker, RGB in the data set, YCbCr in the codestream."""
    path = recompressed(write(tmp_path / "a.dcm", dicom(RGB, "RGB")), "JPEGBaselineProcess1")
    assert pydicom.dcmread(path).PhotometricInterpretation == "RGB"
    found = np.asarray(open_image(path)).astype(int)
    middles = (slice(4, None, 16), slice(4, None, 8))  # away from edges, which share their colour
    assert np.abs(found[middles] - RGB[middles]).max() <= 12


@pytest.mark.parametrize("maker", ["dcmtk", "gdcm", "lossy_gdcm"])
def test_files_of_dcmtk_and_gdcm_show_the_same_bars(maker: str) -> None:
    """Red above, then green and blue: files that pydicom ships for its own tests."""
    path = get_testdata_file(f"SC_rgb_jpeg_{maker}.dcm", download=False)
    if path is None:
        pytest.skip("this pydicom came without its test files")
    found = np.asarray(open_image(path)).astype(int)
    for row, colour in ((5, (255, 0, 0)), (25, (0, 255, 0)), (45, (0, 0, 255))):
        assert np.abs(found[row, 50] - colour).max() <= 6


def test_jpeg_2000_undoes_its_own_transform(tmp_path: Path) -> None:
    exact = dicom(RGB, "YBR_RCT")
    assert np.array_equal(opened(tmp_path, exact, uid.JPEG2000Lossless), RGB)


def test_lossy_jpeg_2000_is_near(tmp_path: Path) -> None:
    item = dicom(RGB, "RGB")
    item.PhotometricInterpretation = "YBR_ICT"
    item.compress(uid.JPEG2000, j2k_psnr=[60], generate_instance_uid=False)
    found = opened(tmp_path, item).astype(int)
    assert np.abs(found - RGB).max() <= 6


def test_jpeg_2000_with_a_transform_that_the_data_set_does_not_know(tmp_path: Path) -> None:
    item = dicom(RGB, "YBR_RCT")
    item.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    item.PhotometricInterpretation = "YBR_FULL"
    assert np.array_equal(opened(tmp_path, item), RGB)


HIGH_THROUGHPUT = [uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K]


@pytest.mark.parametrize("syntax", HIGH_THROUGHPUT, ids=lambda s: s.keyword)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_ICT"])
def test_high_throughput_jpeg_2000_is_exact(
    tmp_path: Path, syntax: uid.UID, photometric: str
) -> None:
    coloured = encapsulated(dicom(HT_COLOURS, photometric), HT_OF_COLOURS, syntax)
    assert np.array_equal(opened(tmp_path, coloured), HT_COLOURS)
    deep = encapsulated(dicom(HT_STRIPES, BitsStored=12), HT_OF_STRIPES, syntax)
    deep.WindowCenter, deep.WindowWidth, deep.VOILUTFunction = 2047.5, 4095, "LINEAR_EXACT"
    assert np.array_equal(grey(tmp_path, deep), (HT_STRIPES / 4095 * 255).round())


def _of_frame(height: float, width: float) -> Any:
    measured, group = pydicom.Dataset(), pydicom.Dataset()
    measured.PixelSpacing = [height, width]
    group.PixelMeasuresSequence = [measured]
    return [group]


def test_jpeg_of_twelve_bits_is_named(tmp_path: Path) -> None:
    """pydicom does not ask gdcm for it, rightly: it decodes some and ends the process at others."""
    item = encapsulated(dicom(HT_STRIPES, BitsStored=12), TWELVE_BITS, uid.JPEGExtended12Bit)
    with pytest.raises(LayerhouseError, match=r"stored as JPEG Extended .*, 12 bits, which no dec"):
        open_image(write(tmp_path / "a.dcm", item))


@pytest.mark.parametrize(
    ("said", "size"),  # of a picture 64 wide and 32 high
    [
        ({"PixelAspectRatio": [2, 1]}, (64, 64)),  # first the height of a pixel
        ({"PixelAspectRatio": [1, 2]}, (128, 32)),
        ({"PixelSpacing": [0.6, 0.4]}, (64, 48)),
        ({"ImagerPixelSpacing": [0.4, 0.6]}, (96, 32)),
        ({"NominalScannedPixelSpacing": [2, 1]}, (64, 64)),
        ({"PixelSpacing": [0.5, 0.5], "PixelAspectRatio": [2, 1]}, (64, 32)),  # a size goes before
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [2, 1]}, (64, 64)),  # says nothing
        ({"PixelSpacing": [0.488281, 0.488282]}, (64, 32)),
        ({"PixelSpacing": []}, (64, 32)),
        ({"SharedFunctionalGroupsSequence": _of_frame(2, 1), "PixelSpacing": [1, 1]}, (64, 64)),
        ({"PerFrameFunctionalGroupsSequence": _of_frame(1, 1.5)}, (96, 32)),
    ],
)
def test_pixels_that_are_not_square_become_so(
    tmp_path: Path, said: dict[str, Any], size: tuple[int, int]
) -> None:
    stripes = np.zeros((32, 64), np.uint8)
    stripes[:16, :32] = 200
    path = write(tmp_path / "a.dcm", dicom(stripes, **said))
    shown = open_image(path)
    assert shown.size == picture_at(path).size == size
    assert ("pixel shape" in picture_at(path).reading) == (size != (64, 32))
    halves = np.asarray(shown)[..., 0]
    width, height = size
    assert halves[: height // 2 - 1, : width // 2 - 1].min() == 200
    assert halves[height // 2 + 1 :].max() == halves[:, width // 2 + 1 :].max() == 0


def test_colour_of_oblong_pixels_is_stretched(tmp_path: Path) -> None:
    found = opened(tmp_path, dicom(RGB, "RGB", PixelSpacing=[1, 2]))
    assert found.shape == (RGB.shape[0], 2 * RGB.shape[1], 3)
    assert np.array_equal(found[:, 4], RGB[:, 2])  # within a bar


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEGLosslessProcess14"])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB"])
def test_lossless_jpeg_is_exact(tmp_path: Path, syntax: str, photometric: str) -> None:
    pixels = RGB if photometric == "RGB" else RAMP
    path = recompressed(write(tmp_path / "a.dcm", dicom(pixels, photometric)), syntax)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID in (
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
    )
    found = np.asarray(open_image(path))
    assert np.array_equal(found, RGB if photometric == "RGB" else RAMP[..., None].repeat(3, axis=2))


def test_lossless_jpeg_of_sixteen_bits_is_exact(tmp_path: Path) -> None:
    deep = np.add.outer(np.arange(16), np.arange(16)).astype("<u2") * 2000
    path = write(tmp_path / "a.dcm", dicom(deep))
    plain = np.asarray(open_image(path))
    recompressed(path, "JPEGLosslessProcess14_1")
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == uid.JPEGLosslessSV1
    assert np.array_equal(np.asarray(open_image(path)), plain)
    assert len(np.unique(plain)) == 31


TABLE = np.random.default_rng(0).integers(0, 256, (256, 3))
FEW = np.random.default_rng(1).integers(0, 256, (32, 3))
MANY = np.random.default_rng(2).integers(0, 256, (1024, 3))


@each_lossless
def test_a_palette_gives_its_colours(tmp_path: Path, syntax: uid.UID) -> None:
    item = with_palette(dicom(RAMP), TABLE.astype("<u2") * 257)
    assert np.array_equal(opened(tmp_path, item, syntax), TABLE[RAMP])


@pytest.mark.parametrize(
    ("stored", "table", "first", "bits", "expected"),
    [
        (RAMP, TABLE.astype("u1"), 0, 8, TABLE[RAMP]),  # tables of bytes
        (RAMP, TABLE.astype("<u2"), 0, 16, TABLE[RAMP]),  # bytes written as words
        (RAMP, TABLE.astype("<u2"), 0, 8, TABLE[RAMP]),  # and said to be bytes
        (RAMP, FEW.astype("<u2") * 257, 100, 16, FEW[(RAMP.astype(int) - 100).clip(0, 31)]),
        (RAMP.astype("<u2") * 4, MANY.astype("u1"), 0, 8, MANY[RAMP.astype(int) * 4]),
        (RAMP.astype("<i2") - 128, TABLE.astype("<u2") * 257, -128, 16, TABLE[RAMP]),
    ],
)
def test_palettes_of_every_form(
    tmp_path: Path, stored: Any, table: Any, first: int, bits: int, expected: Any
) -> None:
    assert np.array_equal(
        opened(tmp_path, with_palette(dicom(stored), table, first, bits)), expected
    )


def test_a_palette_in_segments(tmp_path: Path) -> None:
    """A run of one entry, then a line to another: PS3.3 C.7.9.2."""
    item = with_palette(dicom(RAMP), np.zeros((256, 3), "<u2"))
    for name, end in (("Red", 65535), ("Green", 0), ("Blue", 25700)):
        delattr(item, f"{name}PaletteColorLookupTableData")
        segments = np.array([0, 1, 0, 1, 255, end], "<u2")
        setattr(item, f"Segmented{name}PaletteColorLookupTableData", segments.tobytes())
    found = opened(tmp_path, item)
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[-1, -1].tolist() == [255, 0, 100]
    assert np.abs(found[..., 0].astype(int) - RAMP).max() <= 1


def test_colour_of_more_than_eight_bits_is_scaled(tmp_path: Path) -> None:
    assert np.array_equal(opened(tmp_path, dicom(RGB.astype("<u2") * 257, "RGB")), RGB)
    twelve = dicom((RGB / 255 * 4095).round().astype("<u2"), "RGB", BitsStored=12)
    assert np.array_equal(opened(tmp_path, twelve), RGB)


STEPS = np.array([[0, 1000, 4000]], "<u2")
TABLE_OF_TWO = {"LUTDescriptor": [4001, 0, 8], "LUTData": [0] * 1000 + [128] * 3000 + [255]}

ROOT = {"LUTDescriptor": [4096, 0, 12], "LUTData": [round((n * 4095) ** 0.5) for n in range(4096)]}


def lookup(**elements: Any) -> Any:
    item = pydicom.Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return pydicom.Sequence([item])


@pytest.mark.parametrize(
    ("elements", "shown"),
    [
        ({}, [0, 64, 255]),
        ({"WindowCenter": 1500.5, "WindowWidth": 1001}, [0, 0, 255]),
        ({"WindowCenter": [500.5, 9], "WindowWidth": [1001, 9]}, [0, 255, 255]),
        (
            {
                "WindowCenter": 0,
                "WindowWidth": 2000,
                "VOILUTFunction": "LINEAR_EXACT",
                "RescaleSlope": 1,
                "RescaleIntercept": -1000,
            },
            [0, 128, 255],
        ),
        (
            {"WindowCenter": 1000, "WindowWidth": 2000, "VOILUTFunction": "SIGMOID"},
            [30, 128, 254],
        ),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [255, 191, 0]),
        ({"PresentationLUTShape": "INVERSE"}, [255, 191, 0]),
        (
            {"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"},
            [255, 191, 0],
        ),
        ({"PixelPaddingValue": 4000}, [0, 255, 255]),
        ({"PixelPaddingValue": 0}, [0, 0, 255]),
        ({"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 4095}, [0, 255, 255]),
        ({"VOILUTSequence": lookup(**TABLE_OF_TWO)}, [0, 128, 255]),
        (
            {"VOILUTSequence": lookup(**TABLE_OF_TWO), "WindowCenter": 9, "WindowWidth": 9},
            [0, 128, 255],
        ),
        ({"ModalityLUTSequence": lookup(**TABLE_OF_TWO)}, [0, 128, 255]),
        ({"PresentationLUTSequence": lookup(**ROOT)}, [0, 128, 255]),
        (
            {
                "PresentationLUTSequence": lookup(**ROOT),
                "PresentationLUTShape": "IDENTITY",
                "VOILUTSequence": lookup(**TABLE_OF_TWO),
            },
            [0, 181, 255],
        ),
        (
            {
                "PresentationLUTSequence": lookup(
                    LUTDescriptor=[2, 0, 10],
                    LUTData=[1023, 0],  # white to black
                ),
                "WindowCenter": 2000.5,
                "WindowWidth": 4001,
            },
            [255, 255, 0],
        ),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, [255, 191, 0]),
        ({"RescaleSlope": None, "RescaleIntercept": None}, [0, 64, 255]),
        ({"RescaleSlope": None, "RescaleIntercept": -1000}, [0, 64, 255]),
        ({"RescaleSlope": 2, "RescaleIntercept": None}, [0, 64, 255]),
        ({"RescaleSlope": 1}, [0, 64, 255]),
        ({"WindowCenter": 2000.5, "WindowWidth": 4001, "VOILUTFunction": ""}, [0, 64, 255]),
        ({"WindowCenter": 2000.5, "WindowWidth": 4001, "VOILUTFunction": "linear"}, [0, 64, 255]),
        ({"WindowCenter": None, "WindowWidth": None}, [0, 64, 255]),
        ({"WindowWidth": 2001}, [0, 64, 255]),
        ({"WindowCenter": [1000.5, 3], "WindowWidth": 2001}, [0, 128, 255]),
        ({"WindowCenter": 1000.5, "WindowWidth": [2001, 9]}, [0, 128, 255]),
        (
            {"WindowCenter": 1000.5, "WindowWidth": 2001, "VOILUTSequence": pydicom.Sequence()},
            [0, 128, 255],
        ),
        (
            {
                "WindowCenter": 1000.5,
                "WindowWidth": 2001,
                "VOILUTSequence": lookup(LUTDescriptor=None, LUTData=None),
            },
            [0, 128, 255],
        ),
        ({"ModalityLUTSequence": pydicom.Sequence()}, [0, 64, 255]),
        ({"PhotometricInterpretation": "monochrome1 "}, [255, 191, 0]),
    ],
)
def test_grey_goes_through_the_transforms_of_its_file(
    tmp_path: Path, elements: dict[str, Any], shown: list[int]
) -> None:
    item = dicom(STEPS, BitsStored=12, **elements)
    assert grey(tmp_path, item)[0].tolist() == shown


@pytest.mark.parametrize(
    ("first", "elements"),
    [
        ((64536, "US"), {"RescaleSlope": 1, "RescaleIntercept": -1000}),
        ((-1000, "SS"), {"RescaleSlope": 1, "RescaleIntercept": -1000}),
        ((64536, "US"), {"RescaleSlope": -1, "RescaleIntercept": 3000}),
        ((64536, "US"), {"PixelRepresentation": 1}),
        ((-25536, "SS"), {}),
    ],
)
def test_a_table_begins_where_its_values_can_be(
    tmp_path: Path, first: tuple[int, str], elements: dict[str, Any]
) -> None:
    """Cameras write the sign of a table's first value by other rules than the standard's."""
    lowest = 40000 if not elements else -1000
    meant = np.array([[lowest, lowest + 1000, lowest + 4000]])
    slope, intercept = elements.get("RescaleSlope", 1), elements.get("RescaleIntercept", 0)
    stored = ((meant - intercept) / slope).astype("<i2" if lowest < 0 < slope else "<u2")
    if "RescaleSlope" in elements:
        stored = stored.astype("<u2")
    table = lookup(LUTDescriptor=[4001, 0, 12], LUTData=list(range(4001)))
    table[0]["LUTDescriptor"].VR = first[1]
    table[0].LUTDescriptor = [4001, first[0], 12]
    shown = grey(tmp_path, dicom(stored, VOILUTSequence=table, **elements))[0].tolist()
    assert shown == [0, 62, 249]


def test_a_table_that_begins_below_all_values_begins_as_it_is_written(tmp_path: Path) -> None:
    """Without its sign it would begin above the largest value of twelve bits: a black picture."""
    table = lookup(LUTDescriptor=[4196, 0, 12], LUTData=[min(n, 4095) for n in range(4196)])
    table[0]["LUTDescriptor"].VR = "SS"
    table[0].LUTDescriptor = [4196, -100, 12]
    item = dicom(np.array([[0, 1900, 4095]], "<u2"), BitsStored=12, VOILUTSequence=table)
    assert grey(tmp_path, item)[0].tolist() == [6, 125, 255]


@pytest.mark.parametrize(
    ("pixels", "first", "bits", "stored"),
    [
        (np.arange(-2, 2, dtype="<i2"), (65534, "US"), 16, [0, 100, 200, 300]),
        (np.arange(32768, 32772).astype("<u2"), (-32768, "SS"), 16, [0, 100, 200, 300]),
        (np.arange(4, dtype=np.uint8), (0, "US"), 12, [0, 100, 200, 300]),
        (np.arange(4, dtype=np.uint8), (0, "US"), 8, bytes([0, 50, 100, 150])),
        (np.arange(4, dtype=np.uint8), (0, "US"), 16, [0, 100, 200, 300] + [9] * 300),
        (np.array([-9, -1, 0, 32767], "<i2"), (-2, "SS"), 16, [0, 100, 200, 300]),
    ],
    ids=["unsigned", "signed", "twelve bits", "bytes", "long", "far"],
)
def test_a_modality_table_is_read_however_it_is_written(
    tmp_path: Path, pixels: np.ndarray, first: tuple[int, str], bits: int, stored: Any
) -> None:
    """Cameras write its sign by other rules, and its entries as words, bytes or numbers."""
    table = lookup(LUTDescriptor=[len(stored), 0, bits], LUTData=[0])
    table[0]["LUTDescriptor"].VR = first[1]
    table[0].LUTDescriptor = [len(stored), first[0], bits]
    table[0]["LUTData"].VR = "OW" if isinstance(stored, bytes) else "US"
    table[0].LUTData = stored
    shown = {"WindowCenter": 150.5, "WindowWidth": 301} if bits > 8 else {}
    item = dicom(pixels[None], ModalityLUTSequence=table, **shown)
    expected = [0, 50, 100, 150] if bits == 8 else [0, 85, 170, 255]
    assert grey(tmp_path, item)[0].tolist() == expected
    # which earlier versions had not refused: the largest value went round to the smallest
    reading = picture_at(str(tmp_path / "a.dcm")).reading
    assert ("modality table" in reading) == (int(pixels.max()) == 32767)


def test_a_table_has_no_places_for_floating_pixels(tmp_path: Path) -> None:
    item = dicom(np.zeros((1, 4), "<u4"), ModalityLUTSequence=lookup(**ROOT))
    del item.PixelData
    item.FloatPixelData = np.array([[0.5, -1, 0, 1]], "<f4").tobytes()
    with pytest.raises(LayerhouseError, match="over floating numbers"):
        grey(tmp_path, item)


def test_tables_written_as_words_are_read_like_lists(tmp_path: Path) -> None:
    """A table longer than 65,534 bytes has no other form."""
    table = lookup(LUTDescriptor=[0, 0, 16], LUTData=[0])
    table[0]["LUTData"].VR = "OW"
    table[0].LUTData = (65535 - np.arange(65536)).astype("<u2").tobytes()
    for sequence in ("VOILUTSequence", "PresentationLUTSequence", "ModalityLUTSequence"):
        item = dicom(np.array([[0, 16384, 65535]], "<u2"), **{sequence: table})
        assert grey(tmp_path, item)[0].tolist() == [255, 191, 0]


def test_a_range_that_was_asked_for_goes_before_the_tables_of_the_file(tmp_path: Path) -> None:
    item = dicom(STEPS, PresentationLUTSequence=lookup(**ROOT))
    path = write(tmp_path / "a.dcm", item)
    assert np.asarray(open_image(f"{path}#range=0,4000"))[0, :, 0].tolist() == [0, 64, 255]


def test_signed_values_and_their_padding(tmp_path: Path) -> None:
    """A CT outside of whose circle is -2000; the padding is written as if it were unsigned."""
    stored = np.array([[-2000, -1000, 0, 1000]], "<i2")
    assert grey(tmp_path, dicom(stored))[0].tolist() == [0, 85, 170, 255]
    padded = dicom(stored)
    padded.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert grey(tmp_path, padded)[0].tolist() == [0, 0, 128, 255]
    short = dicom(stored & 0x0FFF, BitsStored=12)
    short.add_new("PixelPaddingValue", "US", 4096 - 2000)
    assert grey(tmp_path, short)[0].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("above", [0xF000, [0, 0x1000, 0]])
def test_bits_above_those_stored_are_not_part_of_a_value(tmp_path: Path, above: Any) -> None:
    """Overlays once lay in the upper four of sixteen bits; an object that has some says so."""
    stored = (STEPS | np.array(above)).astype(STEPS.dtype)
    item = dicom(stored, BitsStored=12, WindowCenter=2000.5, WindowWidth=4001)
    if above != 0xF000:
        item.add_new((0x6000, 0x0102), "US", 12)
    assert grey(tmp_path, item)[0].tolist() == [0, 64, 255]


def test_signs_may_be_carried_on_above_the_stored_bits_or_not(tmp_path: Path) -> None:
    signed = np.array([[-1000, 0, 1000]] * 2, "<i2")
    for stored in (signed, signed & 0x0FFF):
        item = dicom(stored, BitsStored=12, WindowCenter=0.5, WindowWidth=2001)
        assert grey(tmp_path, item)[0].tolist() == [0, 128, 255]


def test_float_pixels_with_holes(tmp_path: Path) -> None:
    item = dicom(np.zeros((1, 4), "<u4"))
    del item.PixelData
    item.FloatPixelData = np.array([[np.nan, -1, 0, 1]], "<f4").tobytes()
    assert grey(tmp_path, item)[0].tolist() == [0, 0, 128, 255]


def test_transforms_of_enhanced_objects_are_those_of_the_frame(tmp_path: Path) -> None:
    item = dicom(np.stack([STEPS, STEPS]), BitsStored=12)
    rescale = pydicom.Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1000
    shared = pydicom.Dataset()
    shared.PixelValueTransformationSequence = [rescale]
    item.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for center in (0, 1000):
        window = pydicom.Dataset()
        window.WindowCenter, window.WindowWidth = center, 2000
        window.VOILUTFunction = "LINEAR_EXACT"
        frame = pydicom.Dataset()
        frame.FrameVOILUTSequence = [window]
        frames.append(frame)
    item.PerFrameFunctionalGroupsSequence = frames
    path = write(tmp_path / "enhanced.dcm", item)
    assert np.asarray(open_image(f"{path}#frame=1"))[0, :, 0].tolist() == [0, 128, 255]
    assert np.asarray(open_image(f"{path}#frame=2"))[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_frames_are_opened_one_by_one(tmp_path: Path, syntax: uid.UID) -> None:
    item = dicom(np.stack([RAMP, 255 - RAMP, RAMP // 2]))
    path = write(tmp_path / "movie.dcm", item, syntax)
    with pytest.raises(LayerhouseError, match=r"movie\.dcm holds 3 frames.*--frame middle"):
        open_image(path)
    assert np.array_equal(np.asarray(open_image(f"{path}#frame=2"))[..., 0], 255 - RAMP)
    with pytest.raises(LayerhouseError, match="has no frame 4; it holds 3 frames"):
        open_image(f"{path}#frame=4")


def test_a_range_that_was_asked_for_counts_in_the_units_of_the_file(tmp_path: Path) -> None:
    item = dicom(STEPS, RescaleSlope=1, RescaleIntercept=-1000, WindowCenter=0, WindowWidth=50)
    path = write(tmp_path / "ct.dcm", item)
    assert np.asarray(open_image(f"{path}#range=-1000,1000"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.113619.2.5.17", "scan.png", "a.tmp"])
def test_dicom_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, dicom(RAMP))
    assert is_dicom(path)
    assert np.array_equal(np.asarray(open_image(path))[..., 0], RAMP)


@pytest.mark.parametrize("implicit", [True, False])
def test_dicom_without_preamble_is_read(tmp_path: Path, implicit: bool) -> None:
    item = dicom(RAMP)
    del item.file_meta
    path = tmp_path / "old"
    item.save_as(path, implicit_vr=implicit, little_endian=True)
    assert path.read_bytes()[128:132] != b"DICM"
    assert is_dicom(path)
    assert np.array_equal(np.asarray(open_image(str(path)))[..., 0], RAMP)


def test_dicom_that_only_its_name_tells_is_read(tmp_path: Path) -> None:
    item = dicom(RAMP)
    del item.file_meta
    path = tmp_path / "old.dcm"
    item.save_as(path, implicit_vr=False, little_endian=False)
    assert np.array_equal(np.asarray(open_image(str(path)))[..., 0], RAMP)


def without_image(kind: uid.UID) -> Any:
    item = dicom(RAMP)
    item.SOPClassUID = kind
    for name in ("Rows", "Columns", "PixelData"):
        delattr(item, name)
    return item


def changed(**elements: Any) -> Any:
    is_colour = elements.get("SamplesPerPixel") == 3
    item = dicom(RGB, "RGB") if is_colour else dicom(RAMP)
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def without_pixels() -> Any:
    item = dicom(RAMP)
    del item.PixelData
    return item


def cut() -> Any:
    item = dicom(RAMP)
    item.PixelData = item.PixelData[:100]
    return item


def without(keyword: str) -> Any:
    item = dicom(RAMP)
    delattr(item, keyword)
    return item


def packed(pixels: np.ndarray, syntax: uid.UID, **elements: Any) -> Any:
    """An object that says something else of its compressed pixels than they are."""
    item = dicom(np.tile(pixels, (32, 11)))
    item.compress(syntax, generate_instance_uid=False)
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def said_as_text(keyword: str, text: str) -> Any:
    item = dicom(STEPS, WindowCenter=1000, RescaleSlope=1)
    item.add_new(keyword, "LO", text)
    return item


def encrypted() -> Any:
    item = without_image(uid.CTImageStorage)
    item.EncryptedAttributesSequence = [pydicom.Dataset()]
    return item


def of_syntax(syntax: str, **elements: Any) -> Any:
    return encapsulated(changed(**elements), b"\xff\xd8\xff\xd9", uid.UID(syntax))


def codestream(pixels: np.ndarray) -> bytes:
    """JPEG 2000 without its box, nothing lost."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", no_jp2=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (without_image(uid.BasicTextSRStorage), "without an image: Basic Text SR Storage"),
        (without_image(uid.RTStructureSetStorage), "without an image: RT Structure Set"),
        (without_image(uid.EncapsulatedPDFStorage), "without an image: Encapsulated PDF"),
        (encrypted(), r"is encrypted \(CT Image Storage\); decrypt it first"),
        (without_pixels(), "holds no pixels: it is cut off"),
        (cut(), "holds 100 bytes of pixels where 1,024 are needed: the file is cut off"),
        (changed(NumberOfFrames=3), "holds 1,024 bytes of pixels where 3,072 are needed"),
        (changed(PixelData=RAMP.tobytes() * 4), "holds 4 frames or so, where it says one"),
        (changed(BitsAllocated=16, BitsStored=12), "holds 1,024 bytes of pixels where 2,048"),
        (without("BitsStored"), r"does not say its Bits Stored \(0028,0101\), .*dcmodify"),
        (without("BitsAllocated"), r"does not say its Bits Allocated \(0028,0100\)"),
        (without("PixelRepresentation"), r"its Pixel Representation \(0028,0103\)"),
        (without("SamplesPerPixel"), r"its Samples per Pixel \(0028,0002\)"),
        (without("PhotometricInterpretation"), r"its Photometric Interpretation \(0028,0004\)"),
        (changed(BitsStored=20), "says that 20 bits of 8 are stored .*, which cannot be; correct"),
        (changed(BitsStored=0), "says that 0 bits of 8 are stored"),
        (changed(BitsAllocated=12, BitsStored=12), "says that 12 bits of 12 are stored"),
        (changed(BitsStored=4), "says that 4 bits are stored, .*holds values up to 255"),
        (changed(BitsStored=6, HighBit=7), "the last of them bit 7 .*which need more; correct it"),
        (
            packed(STEPS * 4, uid.RLELossless, BitsStored=12),
            "says that 12 bits are stored, .*16,000",
        ),
        (
            packed((STEPS - 2000).view("<i2"), uid.JPEG2000Lossless, PixelRepresentation=0),
            r"have no sign \(0028,0103\) and holds negative ones; correct it",
        ),
        (said_as_text("WindowWidth", "400,5"), r"a Window Width \(0028,1051\) that is no number"),
        (said_as_text("RescaleIntercept", "abc"), r"a Rescale Intercept .*no number; correct it"),
        (
            dicom(np.zeros((4, 4, 3), "<u2"), "YBR_FULL"),
            "colour space YBR_FULL with 16 bits a sample, .*export it in RGB",
        ),
        (changed(Rows=0), "there is nothing to see"),
        (changed(Rows=60000, Columns=60000), "more than the limit of"),
        (
            changed(WindowCenter=0, WindowWidth=0.5, VOILUTFunction="LINEAR"),
            "a window of width 0.5",
        ),
        (changed(WindowCenter=0, WindowWidth=[-1, 400]), "a window of width -1"),
        (
            changed(WindowCenter=0, WindowWidth=0),
            r"a window of width 0 \(0028,1051\), .* --window CENTER,WIDTH",
        ),
        (changed(SamplesPerPixel=3, PhotometricInterpretation="YBR_PARTIAL_422"), "colour space"),
        (changed(SamplesPerPixel=3, PhotometricInterpretation="HSV"), "colour space HSV"),
        (changed(SamplesPerPixel=3, PhotometricInterpretation="YBR_RCT"), "only JPEG 2000 has"),
        (changed(PhotometricInterpretation="RGB"), "do not go together"),
        (changed(PhotometricInterpretation="MONOCHROME"), "do not go together"),
        (changed(RescaleSlope=0, RescaleIntercept=5), "a Rescale Slope of 0 .*one value of all"),
        (
            changed(WindowCenter=9, WindowWidth=9, VOILUTFunction="CURVE"),
            "VOI LUT Function CURVE .*--window CENTER,WIDTH",
        ),
        (changed(SOPClassUID=uid.SegmentationStorage), "is a segmentation, not a picture; leave"),
        (
            changed(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=None),
            r"does not say its Planar Configuration \(0028,0006\)",
        ),
        (encapsulated(dicom(RAMP), jpeg(RGB)), "says 1 samples a pixel .*and 3 are stored"),
        (
            encapsulated(dicom(RAMP), codestream(RGB), uid.JPEG2000Lossless),
            "says 1 samples a pixel .*and 3 are stored",
        ),
        (changed(PixelPresentation="COLOR"), "supplemental palette .*says COLOR.*in RGB"),
        (changed(PixelPresentation="MIXED"), "supplemental palette .*says MIXED.*in RGB"),
        (changed(PresentationLUTShape="LIN OD"), "Presentation LUT Shape LIN OD"),
        (
            changed(
                PresentationLUTSequence=lookup(**ROOT), PhotometricInterpretation="MONOCHROME1"
            ),
            "not known what is black; export it as MONOCHROME2",
        ),
        (
            changed(PresentationLUTSequence=lookup(**ROOT), PresentationLUTShape="INVERSE"),
            "not known what is black",
        ),
        (
            changed(VOILUTSequence=lookup(LUTDescriptor=[256, 0, 8], LUTData=[0, 255])),
            "a lookup table of 256 entries .*holds 2; it is damaged",
        ),
        (changed(PhotometricInterpretation="PALETTE COLOR"), "no table of colours .*in RGB"),
        (changed(PixelSpacing=[1, 50]), "its pixels are 1 high and 50 wide; correct"),
        (of_syntax("1.2.840.10008.1.2.4.102"), "holds a video .MPEG-4"),
        (of_syntax("1.2.840.10008.1.2.4.95"), "JPIP.*, which no decoder"),
        (
            of_syntax("1.2.840.10008.1.2.4.51", BitsAllocated=16, BitsStored=12),
            "JPEG Extended.*, which no decoder",
        ),
        (of_syntax("1.2.840.10008.1.2.4.50"), "cannot be decoded as an image"),
        (of_syntax("1.2.840.10008.1.2.4.90"), r"all available plugins: \w+: "),
    ],
)
def test_what_is_no_readable_image_is_told_in_a_sentence(
    tmp_path: Path, item: Any, message: str
) -> None:
    path = write(tmp_path / "a.dcm", item)
    with pytest.raises(LayerhouseError, match=message) as caught:
        open_image(path)
    assert "a.dcm" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("syntax", "named"),
    [
        ("1.2.840.10008.1.2.4.110", r"JPEG XL, lossless \(1.2.840.10008.1.2.4.110\)"),
        ("1.2.840.10008.1.2.4.112", r"JPEG XL \(1.2.840.10008.1.2.4.112\)"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        ("1.2.840.113619.5.2", "GE's private big-endian syntax"),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_a_syntax_that_nobody_here_knows_is_named(tmp_path: Path, syntax: str, named: str) -> None:
    item, other = dicom(RAMP), f"2{syntax[1:]}"  # of the same length; pydicom writes it
    item.file_meta.TransferSyntaxUID = uid.UID(other)
    path = tmp_path / "a.dcm"
    item.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)
    path.write_bytes(path.read_bytes().replace(other.encode(), syntax.encode()))
    with pytest.raises(LayerhouseError, match=rf"a\.dcm is stored as {named}.*, which no decoder"):
        open_image(str(path))


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_file_that_ends_within_its_compressed_pixels_is_named(
    tmp_path: Path, syntax: uid.UID
) -> None:
    path = Path(write(tmp_path / "a.dcm", dicom(RAMP), syntax))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(LayerhouseError, match=r"a\.dcm ends before its pixels do .*copy or export"):
        open_image(str(path))


def test_an_index_of_a_medium_is_no_image(tmp_path: Path) -> None:
    item = without_image(uid.MediaStorageDirectoryStorage)
    item.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    path = write(tmp_path / "DICOMDIR", item)
    assert not is_dicom(path)
    with pytest.raises(LayerhouseError, match="without an image: Media Storage Directory"):
        open_image(path)


def test_without_decoders_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.dcm", dicom(RAMP), uid.JPEGLSLossless)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    with pytest.raises(LayerhouseError, match=r"JPEG-LS.*pip install 'layerhouse\[dicom\]'"):
        open_image(path)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(LayerhouseError, match=r"needs pydicom: pip install 'layerhouse\[dicom\]'"):
        open_image(path)


def test_colours_of_every_frame_are_those_of_the_first(tmp_path: Path) -> None:
    """Whatever decoding notes about an object must not be taken for what its file says."""
    item = dicom(RGB, "YBR_RCT")
    item.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    (codestream,) = generate_frames(item.PixelData, number_of_frames=1)
    item.PixelData = encapsulate([codestream, codestream])
    item.NumberOfFrames, item.PhotometricInterpretation = 2, "YBR_FULL"
    path = write(tmp_path / "film.dcm", item)
    for frame in (1, 2, 1):
        picture = picture_at(f"{path}#frame={frame}")
        assert (picture.mode, picture.reading) == ("DICOM YBR_FULL, 8 bits", "colour")
        assert np.array_equal(np.asarray(open_image(f"{path}#frame={frame}")), RGB)
