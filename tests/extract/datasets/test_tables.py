"""Tables of images as people have them: read as they are meant, or refused with the way out."""

from __future__ import annotations

import base64
import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from extract.datasets.findings import understood
from extract.datasets.labels import class_rows
from extract.datasets.reading import default_name, read_source
from extract.datasets.source import Contents, ReadOptions
from extract.datasets.splits import group_warnings
from extract.datasets.tables import read_table
from tests.conftest import REAL_DATA
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image

NAN = float("nan")


def table(folder: Path, content: str | bytes, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, **said: Any) -> Contents:
    return read_source(str(path), ReadOptions(**said))


def labels(contents: Contents) -> list[str | None]:
    return [item.label for item in contents.items]


TWO = "image_path,label\n1.png,a\n2.png,b\n"


# -- cells, quotes, encodings, delimiters --------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "image_path,label\n1.png,T cell, CD4 positive\n2.png,B cell\n",
            "line 2, .* 3 cells|line 2",
        ),
        ("image_path,label\n1.png,a\n2.png\n", "line 3 of .* has 1 cells where the header has 2"),
        ("image_path,label\n1.png,a,\n2.png,b,\n", "line 2 of .* 3 cells .* as have 1 more lines"),
        ('image_path,label\n1.png,"a\n2.png,b\n', "line 2 of .* a quote that is opened there is"),
        ('image_path,label\n1.png,"a\n2.png,b"\n', "line 2, row 1 of .* line break in its label"),
        ('image_path,label\n1.png,"a"b\n', "line 2 of .* the quotes there do not match"),
        (
            "image_path;label\n1.png;a\n",
            "line 1 of .* if that separates its cells, add",
        ),
        ("image_path\tlabel\n1.png\ta\n", "line 1 of .* --delimiter tab"),
        ("patientid filename class\n3 1.png COVID-19\n", "line 1 of .* --delimiter space"),
        ("image_path,label,label\n1.png,a,b\n", "2 columns called label"),
        (TWO.replace("b\n", "é\n").encode("latin-1"), "line 3 of .* is not UTF-8 text; add --enc"),
        (
            "image_path,label\n1.png,肺\n".encode("gbk"),
            "line 2 of .* add --encoding .* gbk",
        ),
        (TWO.encode("utf-16-le"), "line 1 of .* zero bytes.* add --encoding utf-16-le"),
        (TWO.encode("utf-16-be"), "add --encoding utf-16-be"),
        (TWO.replace("2.png", "2\0.png"), "line 3 of .* holds a zero byte, .* drop them with tr"),
        (f"image_path,label\n{'1.png,a' * 900}\n2.png,b\0\n", "line 3 of .* a zero byte"),
        (TWO.replace("1.png", "https://a.org/1.png"), "names https.*, which is an address; .*down"),
        (TWO.replace("1.png", "s3://bucket/1.png"), "line 2, row 1 of .* an address"),
        (TWO.replace("1.png", "file:///data/1.png"), "line 2, row 1 of .* an address"),
        (TWO.replace("2.png", "C:\\data\\2.png"), "line 3, row 2 of .*a Windows machine.*--images"),
        (TWO.replace("2.png", "d:/data/2.png"), "line 3, row 2 of .* a path of a Windows machine"),
        (TWO.replace("2.png", "\\\\ward\\x\\2.png"), "line 3, row 2 of .* a Windows machine"),
        ("image_path,label,split\n1.png,a,0\n", "names the split '0'; .*--column split=none"),
        ("image_path,label,split\n1.png,a,2.0\n", "names the split '2'; .*--column split=none"),
        (b"", "manifest.csv is empty"),
        ("\n", "has no column image_path and no column label; it has none; its first line has to"),
        ("a.png,a\nb.png,b\n", "it has a.png, a; its first line has to name the columns, or --col"),
        (
            "# ours\nimage_path,label\n1.png,a\n",
            "names one column, '# ours', .*take out what stands",
        ),
        (b"PK\3\4" + b"\0" * 26 + b"xl/workbook.xml", "is a document of Excel .*as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("image_path,label\n1.png,a\n./1.png,b\n", "lists 1.png 2 times; .*keep one row"),
        ("image_path,label\na/1.png,a\na/../a/1.png,b\n", "lists a/1.png 2 times"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(LayerhouseError, match=message) as caught:
        read(table(tmp_path, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf" + TWO.encode(), {}),
        (TWO.encode("utf-16"), {}),
        (TWO.encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (TWO.encode("latin-1"), {"encoding": "latin-1"}),
        (TWO.replace(",", ";").encode(), {"delimiter": "semicolon"}),
        (TWO.replace(",", ";").encode(), {"delimiter": ";"}),
        (TWO.replace(",", "\t").encode(), {"delimiter": "tab"}),
        (TWO.replace(",", " ").encode(), {"delimiter": "space"}),
        (b"sep=;\r\n" + TWO.replace(",", ";").encode(), {}),
        (TWO.replace("\n", "\r\n").encode(), {}),
        (TWO.replace("\n", "\n\n").encode(), {}),
        (b'image_path,label,report\n1.png,a,"two\nlines"\n2.png,b,one\n', {}),
        (b",image_path,label\n0,1.png,a\n1,2.png,b\n", {}),
        (TWO.encode() + b",\n , \n,,,\n", {}),
        (b'image_path,="label"\n="1.png",="a"\n"=""2.png""",b\n', {}),
    ],
)
def test_what_is_certain_or_named_is_read(
    tmp_path: Path, content: bytes, said: dict[str, Any]
) -> None:
    contents = read(table(tmp_path, content), **said)
    assert labels(contents) == ["a", "b"]
    assert [item.sample_id for item in contents.items] == ["1.png", "2.png"]


def test_an_encoding_keeps_its_letters(tmp_path: Path) -> None:
    place = table(tmp_path, "image_path,label\n1.png,nævus\n2.png,b\n".encode("latin-1"))
    assert labels(read(place, encoding="latin-1")) == ["nævus", "b"]


@pytest.mark.parametrize("label", ["benign – clear", "T2…", "< 5 €"])
def test_signs_of_windows_are_not_read_as_latin_1(tmp_path: Path, label: str) -> None:
    place = table(tmp_path, f"image_path,label\n1.png,a\n2.png,{label}\n".encode("cp1252"))
    with pytest.raises(
        LayerhouseError, match=r"line 3 of .* not UTF-8 text; add --encoding cp1252"
    ):
        read(place)
    with pytest.raises(LayerhouseError, match=r"line 3 of .* which no text has; .*cp1252"):
        read(place, encoding="latin-1")
    assert labels(read(place, encoding="cp1252")) == ["a", label]


@pytest.mark.parametrize("label", ["bösartig", "лёгкое", "normál"])
def test_letters_that_were_encoded_twice_are_refused(tmp_path: Path, label: str) -> None:
    content = f"image_path,label\n1.png,a\n2.png,{label}\n".encode()
    with pytest.raises(
        LayerhouseError, match=r"line 3 of .* is meant to be .*; leave --encoding la"
    ):
        read(table(tmp_path, content), encoding="latin-1")
    with pytest.raises(LayerhouseError, match=r"line 3 of .* is meant to be .*; .* export it anew"):
        read(table(tmp_path, content.decode("latin-1").encode()))
    assert labels(read(table(tmp_path, content))) == ["a", label]


def test_a_capital_before_a_sign_was_encoded_once(tmp_path: Path) -> None:
    assert labels(read(table(tmp_path, "image_path,label\n1.png,«CAFÉ»\n2.png,5 Â°\n".encode())))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"encoding": "latin-99"}, "no encoding is called 'latin-99'"),
        ({"delimiter": "::"}, "neither one character nor comma"),
        ({"columns": {"labels": "label"}}, "--column labels=… names nothing.* did you mean label"),
        ({"columns": {"label": "Finding"}}, "has no column 'Finding'"),
        ({"missing": "no"}, None),
        ({"images": "nowhere"}, "is no folder"),
    ],
)
def test_options_that_cannot_be_meant(
    tmp_path: Path, said: dict[str, Any], message: str | None
) -> None:
    place = table(tmp_path, TWO)
    if message is None:
        assert labels(read(place, **said)) == ["a", "b"]  # there is nothing missing
        return
    with pytest.raises(UsageError, match=message):
        read(place, **said)


def test_an_option_for_tables_means_nothing_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="--encoding means nothing to"):
        read(tmp_path, encoding="latin-1")


def test_json_lines_say_the_same_as_csv(tmp_path: Path) -> None:
    rows = [
        {"image_path": "1.png", "label": "a", "age": 61, "group_id": None},
        {"image_path": "2.png", "label": "b", "group_id": "p"},
    ]
    place = table(tmp_path, "\n\n".join(map(json.dumps, rows)), "manifest.jsonl")
    items = read(place).items
    assert [(item.label, item.group_id) for item in items] == [("a", None), ("b", "p")]
    assert [item.attributes for item in items] == [{"age": "61"}, {}]
    for content, message in {
        '{"image_path": "1.png"\n': "line 1 of .* is not JSON",
        '{"a": 1}\n["1.png", "a"]\n': "line 2 of .* is not an object",
    }.items():
        with pytest.raises(LayerhouseError, match=message):
            read(table(tmp_path, content, "manifest.jsonl"))


# -- labels that are not there --------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["", "nan", "NaN", "NULL", "None", "NA", "n/a", "<NA>", "  ", "?", "#REF!", "#N/A"]
)
def test_a_missing_label_is_refused_or_skipped_and_never_a_class(
    tmp_path: Path, written: str
) -> None:
    rows = f"image_path,label\n1.png,a\n2.png,{written}\n3.png,b\n4.png,{written}\n"
    place = table(tmp_path, rows)
    with pytest.raises(LayerhouseError, match=r"line 3, row 2 of .* no label, nor have 1 more"):
        read(place)
    contents = read(place, missing="skip")
    assert labels(contents) == ["a", "b"]
    assert contents.notes == ("2 images without a label were left out",)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0.0, NAN, 1.0]),
        pa.array([0, None, 1]),
        pa.array(["0", None, "1"]),
        pa.array([b"0", None, b"1"]),
        pa.array(["0", "nan", "1"]).dictionary_encode(),
    ],
)
def test_gaps_in_parquet_are_missing_labels(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"image_path": ["1.png", "2.png", "3.png"], "label": column}), path)
    with pytest.raises(LayerhouseError, match=r"row 2 of .* has no label"):
        read(path)
    assert labels(read(path, missing="skip")) == ["0", "1"]


def test_a_gap_in_the_groups_is_no_group(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    groups = pa.array([12.0, NAN, 12.0])
    names = ["1.png", "2.png", "3.png"]
    pq.write_table(pa.table({"image_path": names, "label": list("aba"), "group_id": groups}), path)
    assert [item.group_id for item in read(path).items] == ["12", None, "12"]


FLOATS = [0.0, 1.0, None, 10.0]
"""A column of numbers with a gap, as pandas has them."""


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "text.jsonl", "parquet", "text.parquet"])
def test_whole_numbers_are_the_same_labels_in_every_kind_of_table(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"manifest.{kind}"
    names = [f"{n}.png" for n in range(4)]
    cells = ["" if v is None else str(v) for v in FLOATS] if "text" in kind else FLOATS
    columns = {"image_path": names, "label": cells, "group_id": cells, "age": cells}
    if kind.endswith("parquet"):
        pq.write_table(pa.table(columns), path)
    elif kind.endswith("jsonl"):
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        sign = {"csv": ",", "tsv": "\t"}[kind]
        written = ("" if value is None else str(value) for value in FLOATS)
        rows = [list(columns), *([n, v, v, v] for n, v in zip(names, written, strict=True))]
        path.write_text("\n".join(map(sign.join, rows)))
    items = read(path, missing="skip").items
    assert [item.label for item in items] == ["0", "1", "10"]
    assert [item.group_id for item in items] == ["0", "1", "10"]
    assert [item.attributes["age"] for item in items] == ["0", "1", "10"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("1.0", "1.5", "2.0"), ["1", "1.5", "2"]),
        (("1", "1.0", "2"), ["1", "1", "2"]),
        (("4.0", "4a", "5.0"), ["4.0", "4a", "5.0"]),
        (("1.0.0", "2.0", "3.0"), ["1.0.0", "2.0", "3.0"]),
        (("-1.0", "0.0", "+1.0"), ["-1", "0", "+1"]),
    ],
)
def test_only_columns_of_numbers_are_numbers(
    tmp_path: Path, cells: tuple[str, ...], expected: list[str]
) -> None:
    rows = "".join(f"{n}.png,{cell}\n" for n, cell in enumerate(cells))
    assert labels(read(table(tmp_path, f"image_path,label\n{rows}"))) == expected


def test_decimals_of_parquet_are_the_same_labels(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    cells = pa.array([Decimal("1.00"), Decimal("0.00"), Decimal("2.50")])
    pq.write_table(pa.table({"image_path": ["1.png", "2.png", "3.png"], "label": cells}), path)
    assert labels(read(path)) == ["1", "0", "2.50"]


def written_in(tmp_path: Path, cells: list[object], kind: pa.DataType | None) -> Contents:
    path = tmp_path / ("manifest.csv" if kind is None else "manifest.parquet")
    names = [f"{n}.png" for n in range(len(cells))]
    columns = {"image_path": names, "label": cells, "group_id": cells}
    if kind is None:
        rows = "".join(f"{name},{cell},{cell}\n" for name, cell in zip(names, cells, strict=True))
        path.write_text(f"image_path,label,group_id\n{rows}")
    else:
        arrays = {name: pa.array(held) for name, held in columns.items()}
        is_encoded = pa.types.is_dictionary(kind)
        held = pa.array(cells).cast(kind.value_type if is_encoded else kind)
        arrays["label"] = arrays["group_id"] = held.dictionary_encode() if is_encoded else held
        pq.write_table(pa.table(arrays), path)
    return read(path)


@pytest.mark.parametrize(
    "kind",
    [None, pa.float64(), pa.float32(), pa.float16(), pa.dictionary(pa.int32(), pa.float32())],
    ids=str,
)
def test_numbers_read_as_they_were_written_whatever_their_bits(
    tmp_path: Path, kind: pa.DataType | None
) -> None:
    contents = written_in(tmp_path, [0.3, 1.0, 2.5, -0.1, 100.0], kind)
    expected = ["0.3", "1", "2.5", "-0.1", "100"]
    assert labels(contents) == expected
    assert [item.group_id for item in contents.items] == expected


@pytest.mark.parametrize(
    ("kind", "group", "said"),
    [
        (pa.float32(), 16777217.0, "1.6777216e+07"),
        (pa.float32(), 1234567890.0, "1.234568e+09"),
        (pa.float16(), 2049.0, "2.048e+03"),
        (pa.float64(), 1e17, "1e+17"),
    ],
)
def test_groups_that_a_float_has_rounded_are_told(
    tmp_path: Path, kind: pa.DataType, group: float, said: str
) -> None:
    contents = written_in(tmp_path, [1.0, 2.0, group], kind)
    assert contents.items[2].group_id == said
    groups = [str(item.group_id) for item in contents.items]
    warned = group_warnings(contents.items, groups, "")
    assert any(f"the group {said} is a number" in line for line in warned)


# -- columns under other names ---------------------------------------------------------------------


def grouped(column: str) -> str:
    rows = [f"{n}.png,{'ab'[n % 2]},P{n // 4}" for n in range(12)]
    return "\n".join([f"image_path,label,{column}", *rows]) + "\n"


@pytest.mark.parametrize(
    "column",
    [
        *("Group_ID", "GROUP_ID", "group id", "group", "patient", "patient_id", "PatientID"),
        *("Patient ID", "subject", "Subject_ID", "case", "case_no", "study_id", "StudyInstanceUID"),
        *("MRN", "mrn", "participant_id", "lesion_id", "patients", "pid", "Patienten-Nr"),
        *("pt_id", "PTID", "anonymized_patient_id", "dicom_patient_id", "Subject Identifier"),
        *("empi_anon", "bcr_patient_barcode", "case_submitter_id", "USUBJID", "hadm_id", "eye_id"),
        *("video_id", "film", "acc_anon", "id_paciente", "patient_code_anonymous", "MRN_deid"),
        *("anon_patient", "deidentified_patient", "hospital_no", "record_id", "eid", "RID", "sub"),
        *("subj", "patient_uuid", "scan_id", "volume"),
    ],
)
def test_a_patient_column_of_another_name_is_proposed(tmp_path: Path, column: str) -> None:
    place = table(tmp_path, grouped(column))
    with pytest.raises(LayerhouseError, match=r"a column .* but none called group_id") as caught:
        read(place)
    assert f"--column group_id={column}" in str(caught.value).replace("'", "")
    assert len({i.group_id for i in read(place, columns={"group_id": column}).items}) == 3
    alone = read(place, columns={"group_id": "none"}).items
    assert {item.group_id for item in alone} == {None}
    assert alone[0].attributes == {column: "P0"}


@pytest.mark.parametrize(
    "column",
    [
        *(
            "age",
            "view",
            "patient_age",
            "patientsex",
            "caseload",
            "site",
            "visit",
            "Patient Gender",
        ),
        *("inpatient", "outpatient", "hospital", "subtype_note", "record"),
    ],
)
def test_other_columns_are_attributes(tmp_path: Path, column: str) -> None:
    assert read(table(tmp_path, grouped(column))).items[0].attributes == {column: "P0"}


def test_a_patient_column_that_groups_nothing_is_an_attribute(tmp_path: Path) -> None:
    each = "image_path,label,patient\n" + "".join(f"{n}.png,{'ab'[n % 2]},{n}\n" for n in range(6))
    assert read(table(tmp_path, each)).items[0].attributes == {"patient": "0"}


@pytest.mark.parametrize(
    ("column", "values", "proposed"),
    [
        ("Split", ("train", "val", "test"), True),
        ("subset", ("Training", "Validation", "Testing"), True),
        ("set", ("train", "test", "test"), True),
        ("dataset_split", ("train", "test", "test"), True),
        ("type", ("train", "val", "test"), True),
        ("stage", ("training", "testing", "dev"), True),
        ("group", ("train", "test", "val"), True),
        ("train_test", ("TRAIN", "TEST", "TEST"), True),
        ("checked", ("valid", "test", "valid"), False),
        ("fold", ("0", "1", "2"), False),
        ("mode", ("CT", "MR", "US"), False),
    ],
)
def test_a_split_column_of_another_name_is_proposed(
    tmp_path: Path, column: str, values: tuple[str, ...], proposed: bool
) -> None:
    rows = [f"{n}.png,{'ab'[n % 2]},{values[n % 3]}" for n in range(6)]
    place = table(tmp_path, "\n".join([f"image_path,label,{column}", *rows]) + "\n")
    if not proposed:
        assert read(place).items[0].split is None
        return
    with pytest.raises(LayerhouseError, match=f"--column split={column} if that is what it is"):
        read(place)
    assert read(place, columns={"split": column}).items[0].split == "train"


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("fold", ("0", "1", "2"), True),
        ("kfold", ("fold1", "fold2", "fold3"), True),
        ("fold_id", ("0", "1", "2"), True),
        ("partition", ("0", "1", "2"), True),
        ("Usage", ("Training", "PublicTest", "PrivateTest"), True),
        ("cohort", ("train", "external", "train"), True),
        ("cohort", ("discovery", "validation"), True),
        ("quality", ("valid", "poor"), False),
        ("mode", ("CT", "MR", "US"), False),
        ("fold", ("0", "0", "0"), False),
        ("site", ("0", "1", "2"), False),
    ],
)
def test_splits_in_other_words_are_not_left_out_silently(
    tmp_path: Path, column: str, values: tuple[str, ...], told: bool
) -> None:
    place = table(tmp_path, flagged(column, *values))
    contents = read(place)
    assert contents.items[0].attributes == {column: values[0]}
    assert any(note.startswith(f"the column {column} (") for note in contents.notes) == told
    assert not any("decides" in note for note in read(place, columns={"split": "none"}).notes)
    beside = flagged(f"split,{column}", *(f"train,{value}" for value in values))
    assert not any("decides" in note for note in read(table(tmp_path, beside)).notes)


def flagged(column: str, *values: str) -> str:
    rows = [f"{n}.png,{'ab'[n % 2]},{values[n % len(values)]}" for n in range(6)]
    return "\n".join([f"image_path,label,{column}", *rows]) + "\n"


@pytest.mark.parametrize(
    ("column", "values", "way_out", "splits"),
    [
        ("is_test", ("False", "True"), "add --column split=is_test", ["train", "test"]),
        ("isTest", ("0", "1"), "add --column split=isTest", ["train", "test"]),
        ("Test set", ("no", "yes"), "add --column split='Test set'", ["train", "test"]),
        ("train", ("0", "1"), "add --column split=train", ["test", "train"]),
        ("is_training", ("false", "true"), "--column split=is_training", ["test", "train"]),
        ("is_valid", ("False", "True"), "nothing says which images are test", ["train", "val"]),
        ("valid", ("0", "1"), "nothing says which images are test", ["train", "val"]),
        ("is_valid,is_test", ("0,0", "0,1", "1,0"), "write one column split of train, val", None),
        ("train,val,test", ("1,0,0", "0,1,0", "0,0,1"), "columns train and val and test of", None),
    ],
)
def test_yes_and_no_of_a_split_is_asked_about(
    tmp_path: Path, column: str, values: tuple[str, ...], way_out: str, splits: list[str] | None
) -> None:
    """As fastai and Kaggle write it; as an attribute the published splits were lost unseen."""
    place = table(tmp_path, flagged(column, *values))
    with pytest.raises(LayerhouseError, match=f"{way_out}.*--column split=none has splits made"):
        read(place)
    anew = read(place, columns={"split": "none"})
    assert {item.split for item in anew.items} == {None}
    if splits is not None:
        found = [item.split for item in read(place, columns={"split": column}).items]
        assert found == splits * 3


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("is_valid", ("1", "1")),  # the same everywhere: it parts nothing
        ("test", ("PCR", "antigen")),
        ("train", ("0", "2")),
        ("tested", ("0", "1")),
        ("valid_until", ("0", "1")),
        ("biopsy_test", ("yes", "no")),
    ],
)
def test_what_only_sounds_like_a_split_is_an_attribute(
    tmp_path: Path, column: str, values: tuple[str, ...]
) -> None:
    assert read(table(tmp_path, flagged(column, *values))).items[0].attributes[column] == values[0]


def test_of_two_columns_of_one_split_neither_counts_alone(tmp_path: Path) -> None:
    content = "image_path,label,is_valid,is_test\n1.png,a,0,0\n2.png,b,0,1\n3.png,b,1,0\n"
    with pytest.raises(LayerhouseError, match=r"is_test and is_valid of yes and no.*write one"):
        read(table(tmp_path, content), columns={"split": "is_test"})


def test_a_split_beside_findings_is_no_finding(tmp_path: Path) -> None:
    content = "image_path,mass,edema,is_test\n1.png,1,0,0\n2.png,1,1,1\n3.png,0,0,0\n"
    with pytest.raises(LayerhouseError, match="add --column split=is_test if"):
        read(table(tmp_path, content))
    contents = read(table(tmp_path, content), columns={"split": "is_test"})
    assert contents.findings == ("mass", "edema")
    assert [item.split for item in contents.items] == ["train", "test", "train"]


@pytest.mark.parametrize(
    "cells", [[{"bytes": b"\x89PNG", "path": "1.png"}] * 2, [b"\x89PNG\xff", b"\x89PNG\xfe"]]
)
@pytest.mark.parametrize("said", [{}, {"image_path": "image"}])
def test_images_in_a_table_itself_are_named_with_the_whole_command(
    tmp_path: Path, cells: list[Any], said: dict[str, str]
) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"image": cells, "label": ["a", "b"]}), path)
    command = f"its column image: layerhouse datasets add NAME hf:{tmp_path} reads it"
    for place in (path, tmp_path):
        with pytest.raises(LayerhouseError, match=command):
            read(place, columns=said) if place is path else read(place)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "data:image/png;base64,"])
def test_images_in_base64_are_named(tmp_path: Path, form: str) -> None:
    """As benchmarks of multimodal models are published: index, image, question, answer."""
    cells = []
    for shade in (10, 200):
        stored = io.BytesIO()
        noise = np.random.default_rng(shade).integers(0, 256, (9, 9), dtype=np.uint8)
        Image.fromarray(noise).save(stored, form if ":" not in form else "PNG")
        prefix = form if ":" in form else ""
        cells.append(prefix + base64.b64encode(stored.getvalue()).decode())
    rows = [f"{n}\t{cell}\t{'AB'[n]}" for n, cell in enumerate(cells)]
    place = table(tmp_path, "\n".join(["index\timage\tanswer", *rows]), "bench.tsv")
    message = "bench.tsv lists no files: its column image holds the images themselves, in base64"
    for said in ({}, {"label": "answer"}, {"image_path": "image", "label": "answer"}):
        with pytest.raises(LayerhouseError, match=message):
            read(place, columns=said)
    beside = [f"{n}.png\t{cell}\t{'AB'[n]}" for n, cell in enumerate(cells)]
    place = table(tmp_path, "\n".join(["file\timage\tanswer", *beside]), "beside.tsv")
    said = {"image_path": "file", "label": "answer", "group_id": "none"}
    assert [item.sample_id for item in read(place, columns=said).items] == ["0.png", "1.png"]


def test_files_beside_a_thumbnail_are_files(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    cells = {"image_path": ["1.png", "2.png"], "label": ["a", "b"], "image": [b"\xff", b"\xfe"]}
    pq.write_table(pa.table(cells), path)
    assert labels(read(path)) == ["a", "b"]


def test_a_split_of_a_hugging_face_dataset_of_one_part_is_its_column(tmp_path: Path) -> None:
    hf = pytest.importorskip("datasets")
    pictures = [Image.new("L", (8, 8), shade) for shade in range(6)]
    rows = {"image": pictures, "label": list("ababab"), "split": ["train", "dev", "test"] * 2}
    features = hf.Features(
        {"image": hf.Image(), "label": hf.Value("string"), "split": hf.Value("string")}
    )
    whole = hf.Dataset.from_dict(rows, features=features)
    whole.save_to_disk(tmp_path / "one")
    found = [item.split for item in read(tmp_path / "one").items]
    assert found == ["train", "val", "test"] * 2
    hf.DatasetDict({"train": whole, "test": whole}).save_to_disk(tmp_path / "two")
    assert {item.split for item in read(tmp_path / "two").items} == {"train", "test"}
    with pytest.raises(UsageError, match="are its parts, train, test, no column"):
        read(tmp_path / "two", columns={"split": "split"})


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("Image Index,Finding Labels", "image_path='Image Index' --column label='Finding Labels'"),
        ("image_id,dx", "--column image_path=image_id --column label=dx"),
        ("filename,Diagnosis", "--column image_path=filename --column label=Diagnosis"),
        ("Path,class", "--column image_path=Path --column label=class"),
        ("img,target", "--column image_path=img --column label=target"),
        ("img_id,diagnostic", "--column image_path=img_id --column label=diagnostic"),
        ("IMAGE_PATH,Label", "--column image_path=IMAGE_PATH --column label=Label"),
        ("path_to_image,truth", "--column image_path=path_to_image --column label=truth"),
        ("image_file_path,y", "--column image_path=image_file_path --column label=y"),
        ("full_path,class", "--column image_path=full_path --column label=class"),
        ("images,category", "--column image_path=images --column label=category"),
        ("file,y", "--column image_path=file --column label=y"),
        ("jpg,cls", "--column image_path=jpg --column label=cls"),
    ],
)
def test_usual_headers_are_proposed_and_mapped(tmp_path: Path, header: str, options: str) -> None:
    place = table(tmp_path, f"{header}\n1.png,a\n2.png,b\n")
    with pytest.raises(LayerhouseError, match="has no column image_path and no column") as caught:
        read(place)
    assert options in str(caught.value)
    image, label = header.split(",")
    contents = read(place, columns={"image_path": image, "label": label})
    assert labels(contents) == ["a", "b"]
    assert contents.items[0].attributes == {}


def test_what_numbers_the_rows_is_not_proposed_for_their_images(tmp_path: Path) -> None:
    """As tables of conversations number what they ask about an image."""
    place = table(tmp_path, "id,image,label\n0,1.png,a\n1,2.png,b\n")
    with pytest.raises(LayerhouseError, match=r"add --column image_path=image$"):
        read(place)


def test_a_list_of_one_image_is_that_image(tmp_path: Path) -> None:
    """As tables of conversations have it; several images are no sample."""
    rows = [{"image_path": [f"{n}.png"], "label": label} for n, label in ((1, "a"), (2, "b"))]
    lines = "\n".join(map(json.dumps, rows))
    contents = read(table(tmp_path, lines, "t.jsonl"))
    assert [item.sample_id for item in contents.items] == ["1.png", "2.png"]
    with pytest.raises(
        LayerhouseError, match=r"line 2, row 2 of .* names 2 images, and a sample is"
    ):
        read(table(tmp_path, lines.replace('"2.png"', '"2.png", "3.png"'), "t.jsonl"))


def test_where_a_box_lies_is_no_label(tmp_path: Path) -> None:
    """The table of RSNA's pneumonia challenge."""
    content = "file,x,y,width,height,Target\n1.png,2.0,3.0,4.0,5.0,1\n2.png,,,,,0\n"
    with pytest.raises(LayerhouseError, match="add --column image_path=file --column label=Target"):
        read(table(tmp_path, content))


def test_a_path_of_windows_and_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "1.png").write_bytes(b"x")
    place = table(tmp_path, "image_path,label\na\\1.png,a\n")
    (item,) = read(place, images="images").items
    assert (item.sample_id, Path(item.uri).is_file()) == ("a/1.png", True)


# -- several labels per image ----------------------------------------------------------------------

MANY = {"1.png": {"Mass", "Effusion"}, "2.png": {"Mass"}, "3.png": set()}


@pytest.mark.parametrize(
    "cells",
    [
        ("Mass|Effusion", "Mass", "No Finding"),
        ("Mass;Effusion", "Mass", "normal"),
        ("Effusion; Mass", "Mass", "No finding"),
        ("['Mass', 'Effusion']", "['Mass']", "[]"),
        ('["Mass", "Effusion"]', '["Mass"]', "[]"),
        ("['Mass' 'Effusion']", "['Mass']", "[]"),
        (["Mass", "Effusion"], ["Mass"], []),
    ],
)
def test_several_labels_of_a_cell_are_findings(tmp_path: Path, cells: tuple[Any, ...]) -> None:
    path = tmp_path / "manifest.jsonl"
    rows = [{"image_path": n, "label": c} for n, c in zip(MANY, cells, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    contents = read(path)
    assert set(contents.findings) == {"Mass", "Effusion"}
    found = {i.sample_id: {f for f, there in i.findings.items() if there} for i in contents.items}
    assert found == MANY
    assert {item.label for item in contents.items} == {None}


@pytest.mark.parametrize(
    ("cells", "separator", "several"),
    [
        (["a, b", "a", "b"], None, True),
        (["a/b", "a", "b"], None, True),
        (["T cell, CD4", "T cell, CD8", "B cell"], None, False),
        (["ER+", "ER-", "ER"], None, False),
        (["a|b", "c", "c"], "none", False),
        (["a+b", "c", "c"], "+", True),
        (["['a']", "['b']", "['b']"], None, False),
        (["('a', 'b')", "('a',)", "('b',)"], None, True),
        (["{'a', 'b'}", "{'a'}", "{'b'}"], None, True),
        (["a, b", "b, c", "a, c"], None, True),
        (["left, upper", "left, lower", "right"], None, False),
        (["(a)", "{b}", "[c]"], None, False),
        (["Mass\\Effusion", "Mass", "Effusion"], None, True),  # as DICOM writes several values
        (["mass and effusion", "mass", "effusion"], None, True),
        (["hand and foot", "chest", "chest"], None, False),
        (["16 0", "16", "0"], None, True),  # Human Protein Atlas
        (["scab rust", "scab", "rust"], None, True),  # Plant Pathology
        (["scab_rust", "scab", "rust"], None, True),
        (["scab-rust", "scab", "rust"], None, True),
        (["clear water", "haze water", "clear road water", "haze road", "clear road"], None, True),
        (["left lung", "right lung", "left heart", "right heart"], None, False),
        (["basal cell carcinoma", "squamous cell carcinoma", "nevus"], None, False),
        (["COVID-19", "non-COVID", "normal"], None, False),
        (["-1", "1", "0"], None, False),
        (["grade 1", "grade 2", "grade 3"], None, False),
    ],
)
def test_a_sign_separates_labels_where_it_must(
    tmp_path: Path, cells: list[str], separator: str | None, several: bool
) -> None:
    rows = [{"image_path": f"{n}.png", "label": cell} for n, cell in enumerate(cells)]
    place = table(tmp_path, "\n".join(map(json.dumps, rows)), "manifest.jsonl")
    contents = read(place, separator=separator)
    assert bool(contents.findings) is several


CHEXPERT = """Path,Sex,Age,No Finding,Edema,Fracture
1.png,F,61,1.0,0.0,
2.png,M,50,,-1.0,1.0
3.png,F,44,,1.0,0.0
"""


def test_columns_of_findings_are_recognised_and_blanks_and_doubt_must_be_explained(
    tmp_path: Path,
) -> None:
    place = table(tmp_path, CHEXPERT, "train.csv")
    path = {"image_path": "Path"}
    with pytest.raises(LayerhouseError, match=r"has no column image_path; .* image_path=Path"):
        read(place)
    with pytest.raises(LayerhouseError, match="3 cells are empty, first Fracture in line 2"):
        read(place, columns=path)
    with pytest.raises(LayerhouseError, match="1 cells are uncertain, first Edema in line 3"):
        read(place, columns=path, missing="no")
    contents = read(place, columns=path, missing="no", uncertain="skip")
    assert contents.findings == ("Edema", "Fracture")
    assert [dict(item.findings) for item in contents.items] == [
        {"Edema": False, "Fracture": False},
        {"Edema": None, "Fracture": True},
        {"Edema": True, "Fracture": False},
    ]
    assert contents.items[0].attributes == {"Sex": "F", "Age": "61"}
    assert contents.notes == ("No Finding is read as: none of the findings",)
    certain = read(place, columns=path, missing="skip", uncertain="yes").items[1].findings
    assert dict(certain) == {"Edema": True, "Fracture": True}


def test_minus_one_for_no_has_to_be_said(tmp_path: Path) -> None:
    """CelebA's attributes are 1 and -1, CheXpert's -1 is doubt."""
    place = table(tmp_path, "image_path,Bald,Hat\n1.jpg,-1,1\n2.jpg,1,1\n3.jpg,-1,-1\n")
    with pytest.raises(LayerhouseError, match=r"3 cells are uncertain, .*--uncertain skip"):
        read(place)
    found = [dict(item.findings) for item in read(place, uncertain="no").items]
    assert found[0] == {"Bald": False, "Hat": True}
    assert found[2] == {"Bald": False, "Hat": False}


def test_exactly_one_of_several_columns_is_the_class(tmp_path: Path) -> None:
    content = "image_path,MEL,NV,age\n1.png,1.0,0.0,50\n2.png,0.0,1.0,60\n"
    contents = read(table(tmp_path, content))
    assert labels(contents) == ["MEL", "NV"]
    assert contents.items[0].attributes == {"age": "50"}
    assert "the classes are the columns MEL, NV" in contents.notes[0]


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        ("sex,age_group", "MEL,NV,sex,age_group"),
        ("is_male,Current Smoker", "'MEL,NV,is_male,Current Smoker'"),
        ("contrast,view", "MEL,NV,contrast,view"),
        ("left,fold", "MEL,NV,left,fold"),
        ("laterality,site", "MEL,NV,laterality,site"),
    ],
)
def test_columns_that_describe_an_image_are_no_findings(
    tmp_path: Path, facts: str, asked: str
) -> None:
    rows = "1.png,1,0,1,0\n2.png,0,1,0,0\n3.png,1,0,1,1\n"
    place = table(tmp_path, f"image_path,MEL,NV,{facts}\n{rows}")
    contents = read(place)
    assert labels(contents) == ["MEL", "NV", "MEL"]
    assert list(contents.items[0].attributes) == facts.split(",")
    assert f"facts about the images; --column label={asked} makes findings" in contents.notes[1]
    several = read(table(tmp_path, f"image_path,MEL,NV,{facts}\n{rows}4.png,1,1,1,1\n"))
    assert several.findings == ("MEL", "NV")
    named = asked.strip("'")
    assert read(place, columns={"label": named}).findings == tuple(named.split(","))
    with pytest.raises(LayerhouseError, match=r"MEL holds yes and no: .* --column label=MEL"):
        read(table(tmp_path, f"image_path,MEL,gender,{facts}\n{rows}"))


def test_columns_that_describe_an_image_may_be_its_classes(tmp_path: Path) -> None:
    of_sexes = "image_path,male,female\n1.png,1,0\n2.png,0,1\n"
    assert labels(read(table(tmp_path, of_sexes))) == ["male", "female"]
    of_sides = "image_path,left,right,none\n1.png,1,0,0\n2.png,0,1,0\n3.png,0,0,1\n"
    assert labels(read(table(tmp_path, of_sides))) == ["left", "right", "none"]


def test_named_columns_are_findings_also_in_words(tmp_path: Path) -> None:
    content = "image_path,mass,edema,smoker\n1.png,yes,no,1\n2.png,yes,yes,0\n"
    contents = read(table(tmp_path, content), columns={"label": "mass,edema"})
    assert contents.findings == ("mass", "edema")
    assert contents.items[1].attributes == {"smoker": "0"}
    with pytest.raises(LayerhouseError, match="holds 'maybe' in the column mass"):
        read(
            table(tmp_path, content.replace("yes,no", "maybe,no")),
            columns={"label": "mass,edema"},
        )


def test_a_gap_among_findings_may_mean_that_there_is_none(tmp_path: Path) -> None:
    place = table(tmp_path, "image_path,label\n1.png,a|b\n2.png,\n3.png,a\n")
    with pytest.raises(LayerhouseError, match=r"--missing skip leaves .*--missing no says that"):
        read(place)
    assert read(place, missing="no").items[1].findings == {"a": False, "b": False}


@pytest.mark.parametrize(
    ("label", "what"),
    [
        ('{"name": "a"}', "an object"),
        ('[{"result": [{"value": {"choices": ["a"]}}]}]', "an object"),  # as Label Studio writes it
        ('[["a"]]', "a list in a list"),
    ],
)
def test_an_object_is_no_label(tmp_path: Path, label: str, what: str) -> None:
    place = table(tmp_path, f'{{"image_path": "1.png", "label": {label}}}', "manifest.jsonl")
    with pytest.raises(LayerhouseError, match=rf"line 1, row 1 .* holds {what}, .* in its label"):
        read(place)


@pytest.mark.parametrize(
    ("column", "turns"),
    [
        ("conversations", [{"from": "human", "value": "which?"}, {"from": "gpt", "value": "a"}]),
        ("messages", [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}]),
    ],
)
def test_a_conversation_is_no_label(tmp_path: Path, column: str, turns: list[Any]) -> None:
    """As LLaVA and others write what models are fine-tuned on."""
    rows = [{"image": f"{n}.png", column: turns} for n in (1, 2)]
    place = table(tmp_path, "\n".join(map(json.dumps, rows)), "train.jsonl")
    message = f"the column {column} of .* holds conversations, .* into a column label of its own"
    for said in ({}, {"image_path": "image", "label": column}):
        with pytest.raises(LayerhouseError, match=message):
            read(place, columns=said)
    labelled = [{**row, "label": "ab"[n]} for n, row in enumerate(rows)]
    table(tmp_path, "\n".join(map(json.dumps, labelled)), "train.jsonl")
    assert labels(read(place, columns={"image_path": "image"})) == ["a", "b"]


@pytest.mark.parametrize("options", ["A,B", "option_a,option_b", "choices"])
def test_letters_of_options_are_warned_of(tmp_path: Path, options: str) -> None:
    """Benchmarks have an answer of A to D, and what these stand for beside it."""
    more = "," * options.count(",")
    rows = f"1.png,A,benign{more}\n2.png,B,benign{more}\n"
    contents = read(table(tmp_path, f"image_path,label,{options}\n{rows}"))
    assert labels(contents) == ["A", "B"]
    assert f"the labels A, B are letters of options ({options.replace(',', ', ')})" in str(
        contents.notes
    )
    assert not read(table(tmp_path, "image_path,label,age\n1.png,A,5\n2.png,B,6\n")).notes
    assert not read(table(tmp_path, f"image_path,label,{options}\n{rows.lower()}")).notes


@pytest.mark.parametrize("words", ["yes no", "Positive Negative", "present absent", "Y N"])
def test_columns_of_yes_and_no_are_asked_about(tmp_path: Path, words: str) -> None:
    yes, no = words.split()
    content = f"image_path,mass,edema,age\n1.png,{yes},{no},5\n2.png,{yes},{yes},6\n"
    with pytest.raises(LayerhouseError, match=r"mass, edema hold yes.* --column label=mass,edema"):
        read(table(tmp_path, content))
    contents = read(table(tmp_path, content), columns={"label": "mass,edema"})
    assert contents.items[0].findings == {"mass": True, "edema": False}


@pytest.mark.parametrize("cells", ["[0 1]|[1 0]", "[0, 1]|[1, 1]", "[0. 1.]|[1. 0.]"])
def test_lists_of_zeros_and_ones_name_no_class(tmp_path: Path, cells: str) -> None:
    one, other = cells.split("|")
    content = f'image_path,label\n1.png,"{one}"\n2.png,"{other}"\n'
    with pytest.raises(LayerhouseError, match=r"hold lists of 0 and 1 .* a column for each"):
        read(table(tmp_path, content))


@pytest.mark.parametrize(
    ("path", "groups"),
    [
        ("CheXpert-v1.0/train/patient{:05d}/study1/view{}.jpg", {"patient00000", "patient00001"}),
        ("files/p10/p1{:07d}/s5/{}.jpg", {"p10000000", "p10000001"}),
        ("data/sub-{:02d}/anat/{}.png", {"sub-00", "sub-01"}),
        ("images/patient_{:03d}/{}.png", {"patient_000", "patient_001"}),
        ("images/site{:02d}/{}.png", {None}),
        ("image{:02d}_{}.png", {None}),
    ],
)
def test_patients_that_paths_name_are_groups(
    tmp_path: Path, path: str, groups: set[str | None]
) -> None:
    rows = "".join(f"{path.format(n // 3, n)},{'ab'[n % 2]}\n" for n in range(6))
    place = table(tmp_path, f"image_path,label\n{rows}")
    contents = read(place)
    assert {item.group_id for item in contents.items} == groups
    assert bool(contents.notes) is (groups != {None})
    assert {i.group_id for i in read(place, columns={"group_id": "none"}).items} == {None}


def test_files_that_are_named_like_patients_are_said(tmp_path: Path) -> None:
    rows = "".join(f"patient{n // 3:02d}_{n}.png,{'ab'[n % 2]}\n" for n in range(6))
    place = table(tmp_path, f"image_path,label\n{rows}")
    assert "6 files are named like patients (patient00_0.png)" in read(place).notes[0]
    assert read(place, columns={"group_id": "none"}).notes == ()


def test_one_column_of_zeros_and_ones_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(LayerhouseError, match="has no column label; it has image_path, smoker"):
        read(table(tmp_path, "image_path,smoker\n1.png,1\n2.png,0\n"))


def test_sequences_in_parquet_are_findings(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    cells = pa.array([["Mass", "Effusion"], ["Mass"], []], pa.list_(pa.string()))
    pq.write_table(pa.table({"image_path": list(MANY), "label": cells}), path)
    assert set(read(path).findings) == {"Mass", "Effusion"}


def test_rows_without_labels_are_counted_for_a_table(tmp_path: Path) -> None:
    place = table(tmp_path, "image_path,label\n1.png,a\n2.png,\n")
    reading = ReadOptions(missing="skip")
    _, labelled = understood(read_table(place, reading), reading)
    assert [labelled.row(n) for n in range(2)] == [("a", {}), None]


# -- MedMNIST ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers", "expected", "phrase"),
    [
        ("pneumoniamnist", [0, 1, 1], ["normal", "pneumonia"], None),
        ("breastmnist_224", [0, 1, 1], ["malignant", "normal, benign"], "normal or benign"),
        ("organsmnist", [10, 1, 1], ["femur-left", "spleen"], None),
        ("bloodmnist", [9, 0, 0], None, None),
        ("my-own", [0, 1, 1], None, None),
    ],
)
def test_archives_of_medmnist_have_their_published_names(
    tmp_path: Path, name: str, numbers: list[int], expected: list[str] | None, phrase: str | None
) -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / f"{name}.npz", train_images=images, train_labels=np.array(numbers)[:, None])
    contents = read(tmp_path / f"{name}.npz")
    assert contents.labels == (tuple(expected) if expected else None)
    if expected is None:
        assert labels(contents) == list(map(str, numbers))
    if phrase:
        assert phrase in contents.phrases.values()


def test_chestmnist_has_findings(tmp_path: Path) -> None:
    rows = np.eye(14, dtype=np.uint8)
    images = np.zeros((14, 4, 4), np.uint8)
    np.savez(tmp_path / "chestmnist.npz", train_images=images, train_labels=rows)
    contents = read(tmp_path / "chestmnist.npz")
    assert contents.findings[:2] == ("atelectasis", "cardiomegaly")
    assert contents.items[1].findings["cardiomegaly"] is True
    assert sum(contents.items[1].findings.values()) == 1  # type: ignore[arg-type]


# -- Hugging Face --------------------------------------------------------------------------------


def saved(folder: Path, kinds: dict[str, Any], rows: dict[str, list[Any]]) -> Path:
    """Four images saved by the library, with these columns beside them."""
    hf = pytest.importorskip("datasets", reason="the extra layerhouse[datasets] is not installed")
    hf.disable_progress_bars()
    pictures = [Image.new("L", (6, 5), shade) for shade in range(4)]
    features = hf.Features({"image": hf.Image(), **{k: kind(hf) for k, kind in kinds.items()}})
    hf.Dataset.from_dict({"image": pictures, **rows}, features=features).save_to_disk(folder / "s")
    return folder / "s"


NAMES = ["Mass", "Effusion", "Hernia"]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (lambda hf: hf.Sequence(hf.ClassLabel(names=NAMES)), [[0, 1], [0], [], [2]]),
        (
            lambda hf: hf.Sequence(hf.Value("string")),
            [["Mass", "Effusion"], ["Mass"], [], [NAMES[2]]],
        ),
        (lambda hf: hf.Value("string"), ["Mass|Effusion", "Mass", "No Finding", "Hernia"]),
    ],
)
def test_sequences_of_hugging_face_are_findings(
    tmp_path: Path, kind: Any, cells: list[Any]
) -> None:
    contents = read(saved(tmp_path, {"labels": kind}, {"labels": cells}))
    assert set(contents.findings) == set(NAMES)
    found = [{f for f, there in item.findings.items() if there} for item in contents.items]
    assert found == [{"Mass", "Effusion"}, {"Mass"}, set(), {"Hernia"}]


def test_columns_of_hugging_face_are_asked_about_like_those_of_a_table(tmp_path: Path) -> None:
    kinds = {
        "label": lambda hf: hf.ClassLabel(names=["sick", "well"]),
        "PatientID": lambda hf: hf.Value("string"),
        "fold": lambda hf: hf.Value("int64"),
    }
    rows = {"label": [0, 1, -1, 1], "PatientID": ["p", "p", "q", "q"], "fold": [1, 1, 2, 2]}
    place = saved(tmp_path, kinds, rows)
    with pytest.raises(LayerhouseError, match="--column group_id=PatientID if that is what it is"):
        read(place)
    named = {"group_id": "PatientID"}
    with pytest.raises(LayerhouseError, match=r"row 2 \(train\) of .* has no label"):
        read(place, columns=named)
    contents = read(place, columns=named, missing="skip")
    assert [(item.label, item.group_id) for item in contents.items] == [
        ("sick", "p"),
        ("well", "p"),
        ("well", "q"),
    ]
    assert contents.labels == ("sick", "well")
    assert contents.notes[-1].startswith("the column fold (1, 2) decides no split")
    assert len(read(place, unlabelled=True, columns=named).items) == 4


def test_of_several_classes_or_images_one_has_to_be_named(tmp_path: Path) -> None:
    hf = pytest.importorskip("datasets")
    pictures = [Image.new("L", (6, 5), shade) for shade in range(4)]
    names = hf.ClassLabel(names=["a", "b"])
    kinds = {"before": hf.Image(), "after": hf.Image(), "fine": names, "coarse": names}
    rows = {"before": pictures, "after": pictures, "fine": [0, 1, 0, 1], "coarse": [0, 0, 1, 1]}
    hf.Dataset.from_dict(rows, features=hf.Features(kinds)).save_to_disk(tmp_path / "s")
    with pytest.raises(LayerhouseError, match=r"images before and after; --column image_path=bef"):
        read(tmp_path / "s")
    image = {"image_path": "after"}
    with pytest.raises(LayerhouseError, match="classes of fine and of coarse; --column label=fine"):
        read(tmp_path / "s", columns=image)
    contents = read(tmp_path / "s", columns={**image, "label": "coarse"})
    assert labels(contents) == ["a", "a", "b", "b"]
    assert "#after/0" in contents.items[0].uri


def test_parts_that_are_no_splits_can_be_taken_together(tmp_path: Path) -> None:
    hf = pytest.importorskip("datasets")
    rows = {"image": [Image.new("L", (6, 5))] * 2, "label": ["a", "b"]}
    features = hf.Features({"image": hf.Image(), "label": hf.Value("string")})
    part = hf.Dataset.from_dict(rows, features=features)
    hf.DatasetDict({"train": part, "extra": part}).save_to_disk(tmp_path / "s")
    with pytest.raises(LayerhouseError, match=r"names the split 'extra'; .*--column split=none"):
        read(tmp_path / "s")
    items = read(tmp_path / "s", columns={"split": "none"}).items
    assert [(item.sample_id, item.split) for item in items[1:3]] == [
        ("train/00001", None),
        ("extra/00000", None),
    ]


def test_a_part_that_was_saved_empty_is_no_split(tmp_path: Path) -> None:
    """The library writes such a part, as after a filter, and cannot read it."""
    hf = pytest.importorskip("datasets")
    place = saved(tmp_path, {"label": lambda hf: hf.Value("string")}, {"label": list("abab")})
    rows = hf.load_from_disk(str(place))
    none = rows.select([])
    hf.DatasetDict(train=rows, validation=none, test=rows).save_to_disk(tmp_path / "parts")
    contents = read(tmp_path / "parts")
    assert [item.split for item in contents.items] == ["train"] * 4 + ["test"] * 4
    assert contents.notes == ("the part validation of parts holds no rows, so it is no split",)
    none.save_to_disk(tmp_path / "nothing")
    hf.DatasetDict(train=none, test=none).save_to_disk(tmp_path / "empty")
    hf.DatasetDict().save_to_disk(tmp_path / "without")
    for name in ("nothing", "empty", "without"):
        with pytest.raises(LayerhouseError, match=rf"{name} holds no rows; save the dataset again"):
            read(tmp_path / name)
    (tmp_path / "without" / "dataset_dict.json").write_text('{"splits": 3}')
    with pytest.raises(LayerhouseError, match=r"dataset_dict\.json names no splits"):
        read(tmp_path / "without")


@pytest.mark.parametrize("form", ["struct", "bytes", "hub"])
def test_a_folder_of_parquet_as_the_hub_has_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    hf = pytest.importorskip("datasets")
    hf.disable_progress_bars()
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    stored = io.BytesIO()
    Image.new("L", (6, 5), 77).save(stored, "PNG")
    cells: list[Any] = [stored.getvalue()] * 2
    cells = [{"bytes": one, "path": None} for one in cells] if form == "struct" else cells
    for name in ("train", "test"):
        path = tmp_path / "clone" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        if form == "hub":
            features = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=["a", "b"])})
            rows = {"image": [Image.new("L", (6, 5), 77)] * 2, "label": [0, 1]}
            hf.Dataset.from_dict(rows, features=features).to_parquet(path)
        else:
            pq.write_table(pa.table({"image": cells, "label": ["a", "b"]}), path)
    contents = read_source(f"hf:{tmp_path / 'clone'}", ReadOptions())
    assert [(item.split, item.label) for item in contents.items] == [
        *(("train", "a"), ("train", "b")),
        *(("test", "a"), ("test", "b")),
    ]
    assert np.asarray(open_image(contents.items[2].uri)).max() == 77
    assert default_name(f"hf:{tmp_path / 'clone'}") == "clone"


def test_a_file_of_no_rows_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hf = pytest.importorskip("datasets")
    hf.disable_progress_bars()
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "clone").mkdir()
    rows = pa.table({"image": [b"x"], "label": ["a"]})
    pq.write_table(rows, tmp_path / "clone" / "train-00000-of-00001.parquet")
    pq.write_table(rows.slice(1), tmp_path / "clone" / "test-00000-of-00001.parquet")
    with pytest.raises(LayerhouseError, match=r"test-0.*\.parquet holds no rows, .*take it out"):
        read_source(f"hf:{tmp_path / 'clone'}", ReadOptions())


def test_a_row_without_an_image_is_named(tmp_path: Path) -> None:
    hf = pytest.importorskip("datasets")
    rows = {"image": [None, Image.new("L", (6, 5))], "label": ["a", "b"]}
    features = hf.Features({"image": hf.Image(), "label": hf.Value("string")})
    hf.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "s")
    first, _ = read(tmp_path / "s").items
    with pytest.raises(LayerhouseError, match=r"arrow#image/0 holds no image"):
        open_image(first.uri)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 3, 8, 8), np.uint8), r"they come last, \[n, h, w, 3\]; .*numpy.moveaxis"),
        (np.zeros((4, 8, 8, 4), np.uint8), "drop the last axis, or its transparency"),
        (np.zeros((4, 8, 8, 1), np.uint8), "drop the last axis"),
        (np.array([1, "a"], dtype=object), "that cannot be read: it holds objects.*numpy.savez"),
        (np.zeros((4, 8, 8), np.float32), "holds float32 pixels; scale them"),
    ],
)
def test_arrays_of_another_form_are_named(tmp_path: Path, images: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=np.arange(4) % 2)
    with pytest.raises(LayerhouseError, match=message):
        read(tmp_path / "set.npz")


@pytest.mark.parametrize("label", [NAN, -1, 0.5])
def test_an_archive_s_label_that_is_no_class_s_number_is_refused(
    tmp_path: Path, label: float
) -> None:
    numbers = np.array([0, 1, 0, 1, 0, 1], dtype=type(label))
    numbers[[2, 3]] = label
    images = np.zeros((6, 4, 4), np.uint8)
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=numbers[:, None])
    with pytest.raises(LayerhouseError, match=r"for image 2, .*; 2 images have no label of 0, 1"):
        read(tmp_path / "set.npz")


def test_an_archive_s_whole_numbers_are_the_same_classes_as_floats(tmp_path: Path) -> None:
    images = np.zeros((4, 4, 4), np.uint8)
    numbers = np.array([0.0, 1.0, 1.0, 0.0])
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=numbers)
    assert labels(read(tmp_path / "set.npz")) == ["0", "1", "1", "0"]


def test_an_archive_s_one_hot_labels_are_classes(tmp_path: Path) -> None:
    images = np.zeros((4, 4, 4), np.uint8)
    hot = np.eye(3, dtype=np.uint8)[[0, 2, 1, 2]]
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=hot)
    contents = read(tmp_path / "set.npz")
    assert (labels(contents), contents.findings) == (["0", "2", "1", "2"], ())
    assert "one of them is 1 for every image" in contents.notes[0]
    hot[0] = [1, 1, 0]
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=hot)
    assert read(tmp_path / "set.npz").findings == ("0", "1", "2")


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("0", "0.0"), ("01", "1"), ("+2", "2")])
def test_one_number_written_in_two_ways_is_no_two_classes(one: str, other: str) -> None:
    with pytest.raises(LayerhouseError, match="are one number, written in two ways"):
        class_rows("set", [one, other, "7"], {})
    assert len(class_rows("set", [one, "7", "7a"], {})) == 3


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.binary(1), pa.dictionary(pa.int8(), pa.binary())]
)
def test_bytes_in_parquet_are_text_or_no_label(tmp_path: Path, kind: pa.DataType) -> None:
    def written(*cells: bytes) -> Path:
        column = pa.array(cells, kind.value_type if pa.types.is_dictionary(kind) else kind)
        column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column
        shown = pa.array([b"\xff\xd8", b"\x89P", b"GI"])  # pictures in a column of their own
        names = pa.array(["1.png", "2.png", "3.png"])
        columns = {"image_path": names, "label": column, "thumbnail": shown}
        pq.write_table(pa.table(columns), tmp_path / "manifest.parquet")
        return tmp_path / "manifest.parquet"

    contents = read(written(b"a", b"b", b"a"))
    assert labels(contents) == ["a", "b", "a"]
    assert all(item.attributes == {} for item in contents.items)
    with pytest.raises(LayerhouseError, match=r"row 2 of .* holds bytes in its label"):
        read(written(b"a", b"\xff", b"a"))


@pytest.mark.parametrize("name", ["bccd_cells", "busi_ultrasound", "nih_cxr_pneumonia"])
def test_published_splits_and_groups_are_kept_row_by_row(name: str) -> None:
    path = REAL_DATA / name / "manifest.csv"
    if not path.exists():
        pytest.skip(f"the images of {name} are not part of the repository")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [(i.sample_id, i.label, i.split, i.group_id) for i in read(path).items]
    columns = ("image_path", "label", "split", "group_id")
    assert found == [tuple(row[name] for name in columns) for row in rows]
