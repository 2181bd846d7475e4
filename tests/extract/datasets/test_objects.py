"""Lists of objects in JSON, and COCO's files: read, or refused with the way out."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extract.datasets import add
from extract.datasets.reading import read_source
from extract.datasets.source import Contents, ReadOptions
from tests.extract.datasets.test_tables import labels, read, table
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

ROWS = [{"image_path": f"{n}.png", "label": label, "age": 61} for n, label in enumerate("aba")]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS, indent=1),
        "\n" + json.dumps(ROWS),
        "\ufeff" + json.dumps(ROWS),
        "\n".join(map(json.dumps, ROWS)),
    ],
)
def test_a_list_of_objects_says_the_same_as_objects_on_lines(
    tmp_path: Path, name: str, content: str
) -> None:
    contents = read(table(tmp_path, content, name))
    assert labels(contents) == ["a", "b", "a"]
    assert contents.items[0].attributes == {"age": "61"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"t\.json lists no images"),
        ('["1.png"]', r"entry 1 of .*t\.json is not an object"),
        ('[{"image_path": "1.png",\n"label": a}]', r"line 2 of .*t\.json is not JSON"),
        ('[{"image_path": "1.png", "label": NaN}]', r"entry 1 of .* has no label"),
        ('[{"image_path": "1.png", "label": "a", "label": "b"}]', "says 'label' twice"),
        ('{"image_path": "1.png"}\n{"label": "a", "label": "b"}', "from line 2 on: .*'label' twi"),
        ('[{"image_path": "1.png", "label": "a\\u0000"}]', r"line 1 of .* holds \\u0000, which no"),
        ('[{"image_path": "1.png", "label": "\\ud800"}]', r"line 1 of .* holds \\ud800, which no"),
        ('[{"image_path": "1.png", "label": "\\udc00"}]', r"line 1 of .* holds \\udc00, which no"),
        ("[" * 100_000, "nested too deep"),
        (f'[{{"image_path": "1.png", "label": {"1" * 5000}}}]', r"t\.json cannot be read"),
        ('{"a.png": "a", "b.png": "b"}', r"holds one object \(a\.png, b\.png\); write it as a li"),
        ('{"training": [{"image": "1"}]}', r"one object \(training\); .*or as COCO's images"),
        ("3", "holds no list; write it as"),
    ],
)
def test_what_is_no_list_of_objects_is_told(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(LayerhouseError, match=message):
        read(table(tmp_path, content, "t.json"))


def test_letters_beyond_the_first_65536_are_text(tmp_path: Path) -> None:
    content = json.dumps([{"image_path": "1.png", "label": "\U0001f600"}])
    assert "\\ud83d\\ude00" in content
    assert labels(read(table(tmp_path, content, "t.json"))) == ["\U0001f600"]


Coco = dict[str, list[dict[str, Any]]]


def coco(**others: Any) -> Coco:
    """Three images, one category each; ids neither start at 1 nor are they in order."""
    of = {10: 7, 4: 3, 8: 7}
    made: Coco = {
        "images": [
            {"id": n, "file_name": f"i/{n}.png", "width": 9, "height": 9, "patient": f"p{n}"}
            | {"extra": {"name": "of Roboflow"}}
            for n in of
        ],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "bbox": [1, 2, 3, 4]}
            for n, (image, category) in enumerate(of.items())
        ],
        "categories": [
            {"id": 0, "name": "lesion", "supercategory": "none"},  # of Roboflow, on no image
            {"id": 7, "name": "nevus", "supercategory": "lesion"},
            {"id": 3, "name": "melanoma", "supercategory": "lesion"},
        ],
    }
    return made | others


def read_coco(folder: Path, made: Coco, **said: Any) -> Contents:
    said = {"columns": {"group_id": "none"}} | said
    return read(table(folder, json.dumps(made), "coco.json"), **said)


def _texts(made: Coco) -> None:
    for one in made["annotations"]:
        one |= {"image_id": str(one["image_id"]), "category_id": float(one["category_id"])}


def _two_boxes(made: Coco) -> None:
    made["annotations"].append({"id": 9, "image_id": 4, "category_id": 3})


@pytest.mark.parametrize("change", [dict, _texts, _two_boxes])
def test_the_one_category_of_every_image_of_coco_is_its_class(
    tmp_path: Path, change: Callable[[Coco], Any]
) -> None:
    made = coco()
    change(made)
    items = read_coco(tmp_path, made).items
    found = {item.sample_id: item.label for item in items}
    assert found == {"i/10.png": "nevus", "i/4.png": "melanoma", "i/8.png": "nevus"}
    assert items[0].attributes == {"patient": "p10"}


def test_several_categories_of_an_image_are_findings_and_the_first_such_image_is_named(
    tmp_path: Path,
) -> None:
    made = coco()
    made["annotations"].append({"id": 9, "image_id": 4, "category_id": 7})
    contents = read_coco(tmp_path, made)
    assert contents.findings == ("melanoma", "nevus")
    assert contents.items[1].findings == {"melanoma": True, "nevus": True}
    with pytest.raises(
        LayerhouseError, match=r"first i/4\.png, with melanoma and nevus\).* --per-label"
    ):
        add(Lake.at(tmp_path / "lake"), "skin", tmp_path / "coco.json")


def test_an_image_of_coco_without_annotations_has_no_label(tmp_path: Path) -> None:
    made = coco()
    del made["annotations"][0]
    with pytest.raises(LayerhouseError, match=r"image 10 of .* has no label; --missing skip"):
        read_coco(tmp_path, made)
    assert labels(read_coco(tmp_path, made, missing="skip")) == ["melanoma", "nevus"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"annotations": [{"image_id": 5, "category_id": 7}]}, "annotation 1 .* the image 5, whi"),
        ({"annotations": [{"image_id": 4, "category_id": 1}]}, "of the category 1, which is not"),
        ({"annotations": [{"image_id": 4, "caption": "x"}]}, "has no category_id, as captions"),
        ({"annotations": [None]}, "annotation 1 of .* is not an object"),
        ({"images": [{"id": 1}, {"id": 1}]}, "has two images of the id 1; files that were put"),
        ({"images": {"1": {}}}, "has annotations but no list of images"),
        ({"categories": [{"id": n} for n in (0, 7, 3)]}, "image 10 of .* has no label"),
    ],
)
def test_what_does_not_fit_together_in_coco_is_told(
    tmp_path: Path, others: dict[str, Any], message: str
) -> None:
    with pytest.raises(LayerhouseError, match=message):
        read_coco(tmp_path, coco(**others))


def test_images_that_lie_elsewhere_are_asked_for(tmp_path: Path) -> None:
    place = table(tmp_path, json.dumps(ROWS), "t.json")
    with pytest.raises(
        LayerhouseError, match=r"0\.png does not exist; --images FOLDER names the one that paths"
    ):
        add(Lake.at(tmp_path / "lake"), "x", place)


@pytest.mark.parametrize("name", ["it's train.json", "train.jsonl"])
def test_the_line_that_makes_labels_of_last_replies_works_as_it_is_written(
    tmp_path: Path, name: str
) -> None:
    rows = [
        {
            "id": n + 10,
            "image": f"{n}.png",
            "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": label}],
        }
        for n, label in enumerate(["benign", "ödem"])
    ]
    content = json.dumps(rows) if name.endswith("json") else "\n\n".join(map(json.dumps, rows))
    with pytest.raises(
        LayerhouseError, match=r"if it is the last reply, give .*_labels\.json"
    ) as e:
        read(table(tmp_path, content, name))
    python, *rest = shlex.split(str(e.value).split("which this makes: ")[1])
    assert python == "python"
    subprocess.run([sys.executable, *rest], check=True)
    made = tmp_path / f"{Path(name).stem}_labels.json"
    assert labels(read_source(str(made), ReadOptions())) == ["benign", "ödem"]
