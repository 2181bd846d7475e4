"""Pictures of any depth, with transparency or of several pages, open as what they show."""

from __future__ import annotations

import gzip
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openjpeg
import pytest
from PIL import Image

from tests.warehouse.images.dicom_files import TWELVE_BITS
from tests.warehouse.images.files import png16
from warehouse.errors import LayerhouseError
from warehouse.images import (
    Preparation,
    Scale,
    image_sha256,
    is_image_file,
    open_image,
    parted,
    picture_at,
    with_preparation,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tifffile: Any = pytest.importorskip("tifffile")

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (6, 5, 3))
TWELVE = DEEP // 16


def opened(uri: str | Path) -> np.ndarray:
    return np.asarray(open_image(str(uri))).astype(int)


def scaled(values: np.ndarray, high: int) -> np.ndarray:
    return (np.clip(values / high, 0, 1) * 255).round().astype(int)


# -- depth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["uint16", "int32", ">u2"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_is_scaled_from_its_full_range_or_from_the_one_asked_for(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    if (mode, suffix) == ("int32", "png"):
        pytest.skip("PNG has no 32 bits")
    path = tmp_path / f"a.{suffix}"
    grey = TWELVE[..., 0]
    if suffix == "tif":
        tifffile.imwrite(path, grey.astype(mode), byteorder=">" if mode == ">u2" else "<")
    else:
        Image.fromarray(grey.astype(mode)).save(path)
    assert np.array_equal(opened(path)[..., 0], grey // 257)
    assert np.array_equal(opened(f"{path}#range=0,4095")[..., 1], scaled(grey, 4095))


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "I", "F"])
def test_a_tiff_is_turned_upright_whatever_its_mode(
    tmp_path: Path, mode: str, compression: str | None
) -> None:
    """Pillow maps some modes into memory, with height and width exchanged."""
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "i4", "F": "f4"}.get(mode)
    values = TWELVE[..., 0] / (65535 if mode == "F" else 1)
    colours = Image.fromarray((DEEP // 257).astype(np.uint8))
    image = Image.fromarray(values.astype(kind)) if kind else colours.convert(mode)
    shown = "#range=0,0.1" if mode == "F" else "#range=0,4095" if kind else ""
    path, turned = tmp_path / "a.tif", {3: 2, 6: -1, 8: 1}
    image.save(path, compression=compression)
    upright = opened(f"{path}{shown}")
    for orientation, quarters in turned.items():
        image.save(path, compression=compression, tiffinfo={274: orientation})
        assert np.array_equal(opened(f"{path}{shown}"), np.rot90(upright, quarters))
        misread = compression is None and orientation != 3 and mode not in ("1", "RGB", "I", "F")
        assert ("orientation" in picture_at(str(path)).reading) == misread


@pytest.mark.parametrize("writer", ["png", "tif<", "tif>", "tif-zlib"])
def test_deep_colour_keeps_all_of_its_bits(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a"
    if writer == "png":
        png16(path, TWELVE)
    else:
        compression, order = (None, writer[-1]) if writer[-1] in "<>" else ("zlib", "<")
        values = TWELVE.astype("u2")
        tifffile.imwrite(path, values, photometric="rgb", compression=compression, byteorder=order)
    assert np.array_equal(opened(path), TWELVE // 256)
    assert np.array_equal(opened(f"{path}#range=0,4095"), scaled(TWELVE, 4095))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.array([[0, 0.25, 0.5, 1]], "f4"), [0, 64, 128, 255]),
        (np.array([[-5, 0.5, np.nan, np.inf]], "f4"), [0, 128, 0, 255]),
    ],
)
def test_floats_need_a_range_and_holes_are_dark(
    tmp_path: Path, values: np.ndarray, shown: list[int]
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(LayerhouseError, match=r"a\.tif holds 32-bit float grey values.*--range"):
        open_image(str(path))
    assert opened(f"{path}#range=0,1")[0, :, 0].tolist() == shown


@pytest.mark.parametrize("values", [[[-1000, 0, 3000]], [[0, 70000, 1]]])
def test_integers_outside_of_sixteen_bits_are_not_clipped(tmp_path: Path, values: Any) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.array(values, np.int32)).save(path)
    with pytest.raises(LayerhouseError, match=r"a\.tif holds 32-bit integer grey values.*--range"):
        open_image(str(path))
    low, high = min(values[0]), max(values[0])
    assert opened(f"{path}#range={low},{high}").max() == 255


def test_unsigned_integers_of_32_bits_do_not_wrap(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.array([[0, 2**31, 2**32 - 1]], np.uint32))
    assert opened(f"{path}#range=0,4294967295")[0, :, 0].tolist() == [0, 128, 255]


def test_signed_bytes_and_white_as_zero(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.array([[-128, 0, 127]], np.int8))
    assert opened(f"{tmp_path}/s.tif#range=-128,127")[0, :, 0].tolist() == [0, 128, 255]
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    tifffile.imwrite(tmp_path / "w.tif", values, photometric="miniswhite")
    assert opened(tmp_path / "w.tif")[0, :, 0].tolist() == [255, 155, 0]


def test_formats_that_say_their_range_are_scaled_by_it(tmp_path: Path) -> None:
    values = np.array([[0, 2048, 4095]], ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 4095\n" + values.tobytes())
    assert opened(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 127, 255]
    assert picture_at(str(tmp_path / "a.pgm")).range is Scale.FIXED


def test_sixteen_bits_that_hold_fewer_leave_the_range_to_the_dataset(tmp_path: Path) -> None:
    """PGM and JPEG 2000 of sixteen bits, as TIFF and PNG do; one that says twelve is shown so."""
    values = np.arange(0, 4096, 4).reshape(32, 32)
    (tmp_path / "a.pgm").write_bytes(b"P5 32 32 65535\n" + values.astype(">u2").tobytes())
    Image.fromarray(values.astype("<u2")).save(tmp_path / "a.jp2")
    said = openjpeg.encode(values.astype("<u2"), bits_stored=12, codec_format=1)
    (tmp_path / "said.jp2").write_bytes(said)
    ranges = {name: picture_at(str(tmp_path / name)).range for name in ("a.pgm", "a.jp2")}
    assert set(ranges.values()) == {Scale.OPEN}
    assert np.array_equal(opened(f"{tmp_path}/a.jp2#range=0,4095")[..., 0], scaled(values, 4095))
    assert np.array_equal(opened(f"{tmp_path}/a.pgm#range=0,4095")[..., 0], scaled(values, 4095))
    assert picture_at(str(tmp_path / "said.jp2")).range is Scale.FIXED
    assert abs(opened(tmp_path / "said.jp2")[..., 0] - scaled(values, 4095)).max() <= 1


KINDS = {
    b"\0\0\0\x18ftypheic\0\0\0\0mif1": "is a HEIC picture.*; convert it to PNG",
    b"\0\0\0\x18ftypmif1\0\0\0\0heic": "is a HEIC picture",
    b"\0\0\0\x18ftypisom": "is a video; export its frames",
    b"\x1a\x45\xdf\xa3\x9fB": "is a video",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>": r"is a drawing \(SVG\), .*export it as PNG",
    b"<?xml version='1.0'?>\n<!-- x --><svg/>": "is a drawing",
    b"<?xml version='1.0'?><a/>": "is XML text",
    b"\x93NUMPY\x01\0v\0": "is a NumPy array, .*; save each picture in it as PNG",
    b"PK\x03\x04": "is a ZIP archive, .*unpack it first",
    b"Rar!\x1a\x07": "is a RAR archive",
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file",
    b"MATLAB 5.0 MAT-file": "is a MATLAB file",
    b"NRRD0004\n": "is a volume of ITK.*; convert it to NIfTI",
    b"ObjectType = Image\nNDims = 3": "is a volume of ITK",
    b"\xff\x0a\x7f": "is a JPEG XL picture",
    b"\0" * 257 + b"ustar\0": "is a TAR archive",
}
"""What lies where images should, and how it is named."""


def written(start: bytes, path: Path) -> None:
    path.write_bytes(start + b"\0" * 300)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: tifffile.imwrite(p, np.zeros((4, 4))), "kind of TIFF"),
        (
            lambda p: tifffile.imwrite(
                p, np.zeros((3, 4, 4), "u2"), photometric="rgb", planarconfig="separate"
            ),
            "16-bit colour plane by plane",
        ),
        (
            lambda p: tifffile.imwrite(p, np.zeros((5, 4, 4), "u1"), truncate=True),
            "a stack of which its directory lists 1 page alone",
        ),
        (
            lambda p: Image.new("L", (4, 4)).save(p, tiffinfo={270: "ImageJ=1.53t\nimages=40\n"}),
            "lists 1 page alone, .*save its pages as files",
        ),
        (lambda p: p.write_bytes(b""), r"is empty \(0 bytes\)"),
        (
            lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
            "is a pointer of Git LFS",
        ),
        (lambda p: p.write_bytes(b"\n<!DOCTYPE html><html>404"), "is a web page"),
        (lambda p: p.write_bytes(b"%PDF-1.4 x"), "is a PDF document"),
        (lambda p: p.write_bytes(b"MZ text"), "cannot be decoded as an image: .*; save it as PNG"),
        (lambda p: p.write_bytes(TWELVE_BITS), "is a JPEG .* of 12 bits, .*to PNG"),
        *((partial(written, start), message) for start, message in KINDS.items()),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, write: Any, message: str) -> None:
    path = tmp_path / "a.tif"
    write(path)
    with pytest.raises(LayerhouseError, match=rf"a\.tif .*{message}"):
        open_image(str(path))


def _raw_of_a_camera(path: Path) -> None:
    """As DNG and others have it: a preview first, the picture in a directory below."""
    preview, picture = np.zeros((4, 4, 3), "u1"), np.zeros((8, 8), "u2")
    with tifffile.TiffWriter(path) as raw:
        raw.write(preview, subifds=1, subfiletype=1, photometric="rgb")
        raw.write(picture, subfiletype=0)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.mgz", lambda p: p.write_bytes(gzip.compress(b"\0\0\0\1")), "FreeSurfer.*to NIfTI"),
        ("a.MGH", lambda p: p.write_bytes(b"\0\0\0\1"), "is a volume of FreeSurfer"),
        ("a.mrxs", lambda p: Image.new("RGB", (4, 4)).save(p, "JPEG"), "small overview of a slide"),
        ("a.vsi", lambda p: Image.new("RGB", (4, 4)).save(p, "TIFF"), "small overview of a slide"),
        ("a.dng", _raw_of_a_camera, "begins with a small preview.*; export the picture as PNG"),
    ],
)
def test_a_preview_is_not_taken_for_the_picture(
    tmp_path: Path, name: str, write: Any, message: str
) -> None:
    write(tmp_path / name)
    assert is_image_file(tmp_path / name)
    with pytest.raises(LayerhouseError, match=f"{name} .*{message}"):
        open_image(str(tmp_path / name))


def test_a_name_that_lies_about_the_type_does_not_matter(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "a.jpg", "PNG")
    (tmp_path / "a.jpg").rename(tmp_path / "a.dcm")
    assert opened(tmp_path / "a.dcm")[0, 0].tolist() == [9, 8, 7]


# -- transparency -----------------------------------------------------------------------------

SEEN = np.zeros((4, 4), bool)
SEEN[1:3, 1:3] = True


def transparent(path: Path, mode: str) -> str:
    """Orange in the middle; around it noise that nobody is meant to see."""
    noise = RNG.integers(1, 255, (4, 4, 3), dtype=np.uint8)
    noise[SEEN] = (250, 120, 10)
    if mode == "RGB16":
        return png16(path, np.where(SEEN[..., None], noise.astype(int) * 257, 77), (77, 77, 77))
    alpha = np.where(SEEN, 255, 0).astype(np.uint8)
    if mode == "RGBA16":
        return png16(path, np.dstack([noise, alpha]).astype(int) * 257)
    if mode == "LA16":
        return png16(path, np.dstack([noise[..., 0], alpha]).astype(int) * 257)
    if mode == "L16":
        return png16(path, np.where(SEEN, 250 * 257, 77), (77,))
    image = Image.fromarray(np.dstack([noise, alpha]))
    if mode == "P":
        flat = np.where(SEEN, 0, 1).astype(np.uint8)
        image = Image.fromarray(flat).convert("P")
        image.putpalette([250, 120, 10, 1, 200, 3])
        image.save(path, "PNG", transparency=1)
    else:
        image.convert(mode).save(path, "PNG")
    return str(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB16", "RGBA16", "L16", "LA16"])
def test_transparent_parts_show_the_background(tmp_path: Path, mode: str) -> None:
    path = transparent(tmp_path / "a.png", mode)
    for uri, ground in (
        (path, (0, 0, 0)),
        (f"{path}#on=white", (255, 255, 255)),
        (f"{path}#on=0a141e", (10, 20, 30)),
    ):
        found = opened(uri)
        assert (found[~SEEN] == ground).all()
        assert found[SEEN].std(axis=0).max() == 0
        assert found[1, 1, 0] in (250, 146)  # 146 is the grey of that orange


def test_half_transparent_pixels_are_mixed(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (200, 100, 0, 128)).save(tmp_path / "a.png")
    assert opened(tmp_path / "a.png")[0, 0].tolist() == [100, 50, 0]
    assert opened(f"{tmp_path}/a.png#on=white")[0, 0].tolist() == [227, 177, 127]


def test_a_deep_picture_of_fewer_bits_keeps_its_transparency(tmp_path: Path) -> None:
    values = np.dstack([np.full((2, 2), 2048), np.array([[65535, 0], [0, 65535]])])
    path = png16(tmp_path / "a.png", values)
    found = opened(f"{path}#range=0,4095&on=white")
    assert found[..., 0].tolist() == [[128, 255], [255, 128]]


# -- several pictures -------------------------------------------------------------------------

PAGES = [Image.new("L", (4, 4), grey) for grey in (10, 120, 230)]


def several(path: Path, form: str) -> str:
    path = path / f"a.{form}"
    PAGES[0].save(path, save_all=True, append_images=PAGES[1:], **{
        "webp": {"lossless": True}, "png": {}, "gif": {}, "tif": {}}[form])  # fmt: skip
    return str(path)


@pytest.mark.parametrize("form", ["tif", "gif", "webp", "png"])
def test_several_pictures_are_refused_and_opened_one_by_one(tmp_path: Path, form: str) -> None:
    path = several(tmp_path, form)
    what = "pages" if form == "tif" else "frames"
    with pytest.raises(LayerhouseError, match=f"holds 3 {what}.*--frame all"):
        open_image(path)
    for number, grey in enumerate((10, 120, 230), start=1):
        assert abs(opened(f"{path}#frame={number}") - grey).max() <= 1
    with pytest.raises(LayerhouseError, match=f"has no frame 4; it holds 3 {what}"):
        open_image(f"{path}#frame=4")
    assert len({image_sha256(f"{path}#frame={n}") for n in (1, 2, 3)} | {image_sha256(path)}) == 4


def test_deep_colour_of_a_later_page(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in (TWELVE // 2, TWELVE):
            writer.write(page.astype("u2"), photometric="rgb")
    assert np.array_equal(opened(f"{path}#frame=2&range=0,4095"), scaled(TWELVE, 4095))


def test_what_is_one_picture_for_a_person_stays_one(tmp_path: Path) -> None:
    """A photograph with its preview, a TIFF with a small copy."""
    PAGES[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=PAGES[1:])
    assert Image.open(tmp_path / "a.jpg").n_frames == 3
    assert abs(opened(tmp_path / "a.jpg") - 10).max() <= 1
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for kind, page in enumerate(PAGES[:2]):
            writer.write(np.asarray(page), subfiletype=kind, photometric="minisblack")
    assert abs(opened(tmp_path / "a.tif") - 10).max() == 0


# -- uris -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        *("/a/b.png", "/a/c#1.png", "/a/set.npz#train_images/7", "/a/x#frame=2.dcm"),
        *("/a/x#on=white.png", "/a/x&range=0,1.tif", "/a/x#frame=two", "/a/R&D#range=1"),
    ],
)
@pytest.mark.parametrize(
    "how",
    [
        Preparation(),
        Preparation(frame=3),
        Preparation(shown=(-1000, 0.25)),
        Preparation(2, (0, 4095), "white"),
        Preparation(1, (1.5e-30, 1e30), "rgb(0, 10, 20)"),
        Preparation(background="hsl(120,50.5%,50%)"),
    ],
)
def test_a_uri_says_how_an_image_is_opened(place: str, how: Preparation) -> None:
    uri = with_preparation(place, how)
    assert parted(uri) == (place, how)
    assert uri.startswith(place)
    assert (uri == place) == (how == Preparation())
