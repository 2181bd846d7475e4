"""Files that unpack to far more than they are: refused by name before the memory is gone."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from extract.datasets.reading import read_source
from extract.datasets.source import ReadOptions
from extract.datasets.tables import read_table
from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    add_dataset,
    answer_row,
    extract_spec,
    resealed,
    small_lake,
)
from warehouse.catalogue import filling
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.files import checksum
from warehouse.images import bounds, open_image
from warehouse.lake import unpacking, vectors
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.freeing import free
from warehouse.lake.holding import still_held
from warehouse.lake.lake import Lake
from warehouse.lake.removing_samples import remove_samples
from warehouse.lake.runs import RunWriter
from warehouse.lake.samples import removed_samples
from warehouse.lake.unpacking import read_shard
from warehouse.untrusted import UnfitError, reading

MEMORY = 2**22


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bounds, filling, reading, unpacking, vectors):
        monkeypatch.setattr(module, "memory", lambda: MEMORY)


def _chunk(kind: bytes, content: bytes) -> bytes:
    head = struct.pack(">I", len(content)) + kind + content
    return head + struct.pack(">I", zlib.crc32(kind + content))


def _png(*chunks: bytes, width: int = 8, height: int = 8) -> bytes:
    sizes = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    parts = (_chunk(b"IHDR", sizes), *chunks, pixels, _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


ZEROS = zlib.compress(bytes(2**25))


@pytest.mark.parametrize(
    "content",
    [
        _png(width=2**31 - 1, height=2**31 - 1),
        _png(_chunk(b"iCCP", b"x\0\0" + ZEROS)),
        _png(_chunk(b"zTXt", b"x\0\0" + ZEROS)),
        _png(_chunk(b"iTXt", b"x\0\1\0\0\0" + ZEROS)),
        b"P6 2147483647 2147483647 255\n",
    ],
)
def test_a_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(LayerhouseError, match=r"a\.png (has far more|cannot be decoded)"):
        open_image(str(path))


def _header(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    file = io.BytesIO()
    facts = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)  # type: ignore[arg-type]
    return file.getvalue()


def _archive(path: Path, images: bytes, labels: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_images.npy", images)
        archive.writestr("train_labels.npy", labels)


LABELS = _header((4,)) + bytes([0, 1, 0, 1])
IMAGES = _header((4, 8, 8)) + bytes(256)


@pytest.mark.parametrize(
    ("images", "labels", "why"),
    [
        (_header((4, 1024, 1025)) + bytes(4 * 1024 * 1025), LABELS, "once it is unpacked"),
        (_header((4, 2**40, 2**20)) + bytes(64), LABELS, "damaged: its train_images says"),
        (_header((4, 8, 8)) + bytes(300), LABELS, "damaged: its train_images says 256"),
        (IMAGES, _header((2**40,)) + bytes(4), "damaged: its train_labels says"),
        (IMAGES, _header((2**23,)) + bytes(2**23), "train_labels .* once it is unpacked"),
        (_header((4, 8, 8), "|O") + bytes(256), LABELS, "holds objects"),
        (b"no array", LABELS, "cannot be read"),
    ],
)
def test_a_numpy_archive(tmp_path: Path, images: bytes, labels: bytes, why: str) -> None:
    path = tmp_path / "a.npz"
    _archive(path, images, labels)
    with pytest.raises(LayerhouseError, match=why):
        read_source(str(path), ReadOptions())


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _changed(content: bytes) -> bytes:
    place = content.index(b"train_images.npy") + 40
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def _locked(content: bytes) -> bytes:
    """Says, in both places, that its members are encrypted."""
    found = bytearray(content)
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(mark)
        while place >= 0:
            found[place + at] |= 1
            place = content.find(mark, place + 4)
    return bytes(found)


@pytest.mark.parametrize("harm", [_cut, _changed, _locked])
def test_a_harmed_archive_is_named(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.npz"
    _archive(path, IMAGES, LABELS)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(LayerhouseError, match=r"a\.npz"):
        _read_whole(path)


def _read_whole(path: Path) -> None:
    for item in read_source(str(path), ReadOptions()).items:
        open_image(item.uri)


def test_a_sound_archive_and_a_single_array(tmp_path: Path) -> None:
    _archive(tmp_path / "a.npz", IMAGES, LABELS)
    _read_whole(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(IMAGES)
    with pytest.raises(LayerhouseError, match="is one array and no archive"):
        read_source(str(tmp_path / "b.npz"), ReadOptions())


def test_an_image_of_an_archive_has_no_more_pixels_than_others_may(tmp_path: Path) -> None:
    _archive(tmp_path / "a.npz", IMAGES, LABELS)
    with pytest.raises(LayerhouseError, match="8 × 8 pixels, more than the limit of 63"):
        open_image(f"{tmp_path}/a.npz#train_images/0", max_pixels=63)


def _volume(shape: tuple[int, ...], start: float = 352, order: str = "<") -> bytes:
    nibabel = pytest.importorskip("nibabel")
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    head = bytearray(header.binaryblock)
    head[108:112] = struct.pack(f"{order}f", start)
    head[344:348] = b"n+1\0"
    return bytes(head) + bytes(4)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (_volume((32767, 32767, 32767)), "once it is unpacked"),
        (_volume((1024, 1024, 1)) + bytes(2**21), "once it is unpacked"),
        (_volume((8, 8, 1), start=1e20), "its pixels begin at byte 100,000,"),
        (_volume((8, 8, 1), start=1e20, order=">"), "its pixels begin at byte 100,000,"),
        (_volume((8, 8, 1), start=float("nan")), "its pixels begin at byte nan"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_volume(tmp_path: Path, content: bytes, why: str, packed: bool) -> None:
    path = tmp_path / ("a.nii.gz" if packed else "a.nii")
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    with pytest.raises(LayerhouseError, match=why):
        open_image(f"{path}#frame=1&range=0,1")


def test_a_sound_volume_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(_volume((8, 6, 1)) + bytes(96)))
    assert open_image(f"{path}#frame=1&range=0,1").size == (8, 6)


def _dicom(path: Path, syntax: str, pixels: bytes, **facts: Any) -> str:
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    item = pydicom.dataset.FileDataset("x", {}, file_meta=meta, preamble=bytes(128))
    item.SOPClassUID, item.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    usual = {"Rows": 8, "Columns": 8, "SamplesPerPixel": 1, "BitsAllocated": 8, "BitsStored": 8}
    usual |= {"PhotometricInterpretation": "MONOCHROME2", "HighBit": 7, "PixelRepresentation": 0}
    for name, value in (usual | facts).items():
        setattr(item, name, value)
    encapsulated = meta.TransferSyntaxUID.is_encapsulated
    item.PixelData = pydicom.encaps.encapsulate([pixels]) if encapsulated else pixels
    item["PixelData"].VR = "OB"
    item.save_as(path)
    return str(path)


def test_a_deflated_data_set(tmp_path: Path) -> None:
    path = _dicom(tmp_path / "a.dcm", "DeflatedExplicitVRLittleEndian", bytes(2**21))
    with pytest.raises(LayerhouseError, match=r"a\.dcm holds .* once it is unpacked"):
        open_image(path)
    sound = _dicom(tmp_path / "b.dcm", "DeflatedExplicitVRLittleEndian", bytes(range(64)))
    assert open_image(sound).size == (8, 8)


def _jpeg(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
    return file.getvalue()


def _of_other_size(kind: str) -> bytes:
    """A codestream that says 60,000 pixels a side."""
    found = bytearray(_jpeg(kind))
    if kind == "JPEG":
        place = found.index(b"\xff\xc0") + 5
        found[place : place + 4] = struct.pack(">HH", 60000, 60000)
    else:
        place = found.index(b"\xff\x4f\xff\x51") + 8
        found[place : place + 8] = struct.pack(">II", 60000, 60000)
    return bytes(found)


@pytest.mark.parametrize(
    ("syntax", "kind"), [("JPEGBaseline8Bit", "JPEG"), ("JPEG2000Lossless", "JPEG2000")]
)
def test_a_codestream_of_another_size_than_its_data_set_says(
    tmp_path: Path, syntax: str, kind: str
) -> None:
    path = _dicom(tmp_path / "a.dcm", syntax, _of_other_size(kind))
    with pytest.raises(LayerhouseError, match=r"says 8 × 8 pixels .* 60000 × 60000 are stored"):
        open_image(path)
    assert open_image(_dicom(tmp_path / "b.dcm", syntax, _jpeg(kind))).size == (8, 8)


def test_frames_that_have_no_room(tmp_path: Path) -> None:
    """Else `--frame all` would look for each of them."""
    path = _dicom(tmp_path / "a.dcm", "JPEG2000Lossless", _jpeg("JPEG2000"), NumberOfFrames=10**9)
    with pytest.raises(LayerhouseError, match="says 1,000,000,000 frames and holds"):
        open_image(path)


def test_a_table(tmp_path: Path) -> None:
    """Two hundred thousand cells of a hundred letters, in a few thousand bytes."""
    path = tmp_path / "a.parquet"
    cells = pa.array(["x" * 100]).dictionary_encode().take(pa.array(np.zeros(200_000, np.int32)))
    pq.write_table(pa.table({"image_path": cells}), path, compression="zstd")
    assert path.stat().st_size < 10_000
    with pytest.raises(LayerhouseError, match=r"a\.parquet holds .* once it is unpacked"):
        read_table(path, ReadOptions())


# Shards of a lake.


def _committed(lake: Lake, path: Path, rows: pa.Table, **options: Any) -> None:
    """Write other rows in a shard's place, and have its record say so but for their number."""
    pq.write_table(rows, path, compression="zstd", **options)
    own = path.relative_to(lake.root).as_posix()
    for record in lake.commits_dir.glob("*.json"):
        said = json.loads(record.read_text())
        for shard in said["shards"]:
            if shard["path"] == own:
                shard |= {"bytes": path.stat().st_size, "checksum": checksum(path)}
        record.write_text(resealed(said))


def _swollen(rows: pa.Table, column: str, n: int = 2**17) -> pa.Table:
    """Its lists hold one number over and over, which takes no space in a file."""
    lists = pa.array([[0.5] * n] * rows.num_rows, rows.schema.field(column).type)
    return rows.set_column(rows.column_names.index(column), rows.schema.field(column), lists)


def _repeating(rows: pa.Table, column: str, n: int = 400_000) -> pa.Table:
    """Its texts are one, which a file holds once and every row names."""
    field = rows.schema.field(column)
    return rows.set_column(
        rows.column_names.index(column), field, pa.array(["x" * n] * rows.num_rows)
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_lake(tmp_path / "lake")


def test_a_lake_of_usual_shards_is_read(lake: Lake) -> None:
    with connect(lake) as wh:
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(4,)]
        assert wh.vectors(MODEL, DATASET, "vision", 0, "mean")[1].shape == (4, 2)


def test_a_shard_of_a_small_table(lake: Lake) -> None:
    path = next(lake.root.glob("answer/**/*.parquet"))
    _committed(lake, path, _swollen(pq.ParquetFile(path).read(), "label_logprobs"))
    assert path.stat().st_size < 20_000
    with pytest.raises(
        LayerhouseError, match=rf"{path.name} .*more than a quarter of this machine"
    ):
        connect(lake)


def test_texts_that_a_page_repeats(lake: Lake) -> None:
    path = next(lake.root.glob("answer/**/*.parquet"))
    _committed(lake, path, _repeating(pq.ParquetFile(path).read(), "text", 600_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(
        LayerhouseError, match=rf"{path.name} .*more than a quarter of this machine"
    ):
        connect(lake)
    _committed(lake, path, _repeating(pq.ParquetFile(path).read(), "text", 400_000))
    with connect(lake) as wh:
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(4,)]


def test_a_shard_of_other_rows_than_its_record_says(lake: Lake) -> None:
    path = next(lake.root.glob("answer/**/*.parquet"))
    rows = pq.ParquetFile(path).read()
    _committed(lake, path, pa.concat_tables([rows, rows]))
    with pytest.raises(LayerhouseError, match="it has 4 rows instead of 2"):
        connect(lake)


def test_a_shard_of_vectors(lake: Lake) -> None:
    for path in lake.root.glob("activation/**/*.parquet"):
        _committed(lake, path, _swollen(pq.ParquetFile(path).read(), "vector"))
        assert path.stat().st_size < 20_000
    with connect(lake) as wh, pytest.raises(LayerhouseError, match="more than a quarter of this"):
        wh.vectors(MODEL, DATASET, "vision", 0, "mean")


@pytest.mark.slow
def test_a_locus_of_more_than_the_memory(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(lake) as wh:
        monkeypatch.setattr(vectors, "memory", lambda: 4 * 2 * 4 - 1)  # of four vectors of two
        with pytest.raises(LayerhouseError, match="do not fit into the memory"):
            wh.vectors(MODEL, DATASET, "vision", 0, "mean")


@pytest.mark.slow
def test_sample_names_of_a_shard_of_vectors(lake: Lake) -> None:
    for path in lake.root.glob("activation/**/*.parquet"):
        _committed(lake, path, _repeating(pq.ParquetFile(path).read(), "sample_id"))
        assert path.stat().st_size < 20_000
    with connect(lake) as wh, pytest.raises(LayerhouseError, match="more than a quarter of this"):
        wh.vectors(MODEL, DATASET, "vision", 0, "mean")


def test_what_is_read_to_take_samples_out(lake: Lake) -> None:
    path = next(lake.root.glob("sample/*.parquet"))
    _committed(lake, path, _repeating(pq.ParquetFile(path).read(), "group_id"))
    assert path.stat().st_size < 20_000
    with pytest.raises(LayerhouseError, match=rf"{path.name} .*more than a quarter of this"):
        remove_samples(lake, DATASET, ["s1"])
    path.write_bytes(b"PAR1")
    with pytest.raises(LayerhouseError, match=rf"{path.name} .*cannot be read"):
        remove_samples(lake, DATASET, ["s1"])


def test_what_is_read_to_prove_that_no_sample_is_left(lake: Lake) -> None:
    """What cannot be read is not shown to hold none; nothing else of the lake is in the way."""
    remove_samples(lake, DATASET, ["s1"])
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    path = next(lake.root.glob("answer/**/*.parquet"))
    rows = pq.ParquetFile(path).read()
    left = path.with_name("part-x-0.parquet")
    quarantined = lake.root / "quarantine" / "t" / path.relative_to(lake.root)
    quarantined.parent.mkdir(parents=True)
    pq.write_table(_swollen(rows, "label_logprobs"), left, compression="zstd")
    names = pa.concat_tables([rows] * 4)
    pq.write_table(_repeating(names, "sample_id"), quarantined, compression="zstd")
    held = {each.path for each in still_held(lake, removed_samples(lake))}
    assert held == {each.relative_to(lake.root).as_posix() for each in (left, quarantined)}


def test_texts_in_lists(lake: Lake) -> None:
    path = next(lake.root.glob("answer/**/*.parquet"))
    rows = pq.ParquetFile(path).read()
    lists = pa.array([["x" * 400_000] * 2] * rows.num_rows)
    _committed(lake, path, rows.set_column(rows.column_names.index("options"), "options", lists))
    with pytest.raises(UnfitError, match="more than a quarter of this"):
        read_shard(lake, path.relative_to(lake.root).as_posix())


def test_a_column_of_a_kind_that_no_shard_has(lake: Lake) -> None:
    path = next(lake.root.glob("answer/**/*.parquet"))
    rows = pa.table({"sample_id": pa.array([b"x" * 400_000] * 9, pa.binary(400_000))})
    _committed(lake, path, rows)
    with pytest.raises(UnfitError, match="its column 'sample_id' is of a kind"):
        read_shard(lake, path.relative_to(lake.root).as_posix())


def test_rows_are_read_as_they_were_written(lake: Lake) -> None:
    for path in lake.root.rglob("*.parquet"):
        written = pq.ParquetFile(path).read()
        assert read_shard(lake, path.relative_to(lake.root).as_posix()).equals(written)


def test_a_shard_that_is_joined(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake, FEWEST)
    for n in range(FEWEST):
        covers = {"start": n, "stop": n + 1, "cells": [], "answers": ["generate"]}
        RunWriter(lake, extract_spec()).commit({"answer": [answer_row(f"s{n}")]}, covers)
    path = sorted(lake.root.glob("answer/**/*.parquet"))[3]
    _committed(lake, path, _swollen(pq.ParquetFile(path).read(), "label_logprobs"))
    with pytest.raises(LayerhouseError, match=rf"{path.name} .*more than a quarter of this"):
        list(compact(lake))
