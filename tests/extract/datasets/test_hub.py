"""Folders as the hub of Hugging Face has them: read whole, or refused with the way out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from extract.datasets.reading import read_source
from extract.datasets.source import Contents, ReadOptions
from warehouse.errors import LayerhouseError

CARD = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': benign
          '1': malignant
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
---
"""


@pytest.fixture(autouse=True)
def _in_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hf = pytest.importorskip("datasets", reason="the extra layerhouse[datasets] is not installed")
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def read(typed: object, **columns: str) -> Contents:
    return read_source(str(typed), ReadOptions(columns=columns))


def picture(shade: int) -> bytes:
    stored = io.BytesIO()
    Image.new("L", (6, 5), shade).save(stored, "PNG")
    return stored.getvalue()


def parquet(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": picture(shade), "path": f"{shade}.png"} for shade in range(4)]
    held = {"image": images, "label": [0, 1, 0, 1]} | columns
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    held["image"] = pa.array(held["image"], kind)
    pq.write_table(pa.table(held), path)


def with_card(clone: Path, **files: str) -> None:
    """A repository whose README.md says which files each split is of."""
    named = "".join(f"  - split: {name}\n    path: {path}\n" for name, path in files.items())
    head = f"configs:\n- config_name: default\n  data_files:\n{named}"
    (clone / "README.md").write_text(f"---\n{head}---\n")


def test_the_folder_whose_card_names_the_classes_is_proposed(tmp_path: Path) -> None:
    """What was cloned has its files in `data`, and the names of its classes in README.md."""
    for split in ("train", "test"):
        parquet(tmp_path / "clone" / "data" / f"{split}-00000-of-00001.parquet")
    command = f"layerhouse datasets add NAME hf:{tmp_path / 'clone'} reads it"
    file = tmp_path / "clone" / "data" / "train-00000-of-00001.parquet"
    with pytest.raises(LayerhouseError, match=f"add NAME hf:{file.parent} reads it"):
        read(tmp_path / "clone")
    (tmp_path / "clone" / "README.md").write_text(CARD)
    for place in (tmp_path / "clone", file):
        with pytest.raises(LayerhouseError, match=command):
            read(place)
    assert {item.label for item in read(f"hf:{tmp_path / 'clone'}").items} == {
        "benign",
        "malignant",
    }


@pytest.mark.parametrize("place", ["data", "."])
def test_images_that_a_table_names_lie_beside_it(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever folder somebody is in: a struct of paths without bytes."""
    clone = tmp_path / "clone"
    named = [{"bytes": None, "path": f"i/{shade}.png"} for shade in range(4)]
    parquet(clone / "data" / "train-00000-of-00001.parquet", image=named)
    for shade in range(4):
        (clone / place / "i").mkdir(parents=True, exist_ok=True)
        (clone / place / "i" / f"{shade}.png").write_bytes(picture(shade))
    monkeypatch.chdir(tmp_path)
    uris = [item.uri for item in read(f"hf:{clone}", label="label").items]
    assert uris == [str(clone / place / "i" / f"{shade}.png") for shade in range(4)]
    (clone / place / "i" / "0.png").unlink()
    lost = read(f"hf:{clone}", label="label").items[0]
    assert lost.uri == str(clone / "data" / "i" / "0.png")


def test_images_of_one_name_beside_two_tables_are_never_taken_for_each_other(
    tmp_path: Path,
) -> None:
    clone = tmp_path / "clone"
    named = [{"bytes": None, "path": f"{shade}.png"} for shade in range(4)]
    for split in ("train", "test"):
        parquet(clone / split / f"{split}-00000-of-00001.parquet", image=named)
        for shade in range(4):
            (clone / split / f"{shade}.png").write_bytes(picture(shade))
    files = "".join(
        f"  - split: {split}\n    path: {split}/*.parquet\n" for split in ("train", "test")
    )
    (clone / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
    )
    items = read(f"hf:{clone}", label="label").items
    assert {item.uri for item in items} == {str(clone / f"{shade}.png") for shade in range(4)}


def test_an_image_that_may_be_either_of_two_is_named(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    named = [{"bytes": None, "path": f"{shade}.png"} for shade in range(4)]
    parquet(clone / "data" / "train-00000-of-00001.parquet", image=named)
    for place in ("data", "."):
        (clone / place / "0.png").write_bytes(picture(0))
    files = "  - split: train\n    path: data/*.parquet\n"
    (clone / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
    )
    with pytest.raises(LayerhouseError, match=r"an image 0\.png, which may be .* or .*0\.png"):
        read(f"hf:{clone}", label="label")


def test_of_several_configurations_one_has_to_be_named(tmp_path: Path) -> None:
    data = "- config_name: {0}\n  data_files: {1}/train-*\n"
    for place in ("a", "files/b"):
        parquet(tmp_path / "clone" / place / "train-00000-of-00001.parquet")
    card = tmp_path / "clone" / "README.md"
    for first, way_out in (("a", "write which, as in hf:.*clone/a"), ("c", r"save_to_disk\(…\)")):
        names = data.format(first, "a") + data.format("b", "files/b")
        card.write_text(f"---\nconfigs:\n{names}---\n")
        with pytest.raises(
            LayerhouseError, match=f"several configurations, {first}, b,.*{way_out}"
        ):
            read(f"hf:{tmp_path / 'clone'}")
    assert len(read(f"hf:{tmp_path / 'clone' / 'a'}").items) == 4


def test_images_that_the_library_leaves_out_are_not_passed_over(tmp_path: Path) -> None:
    """It takes `train` and `test` in the name of a file for its split, and drops all others."""
    for shade, name in enumerate(("train_1.png", "test_1.png", "scan_1.png", "scan_2.png")):
        for label in ("a", "b"):
            path = tmp_path / "set" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(10 * shade + len(label)))
    with pytest.raises(
        LayerhouseError, match=r"of the 8 images below .*set the datasets library takes 4: .*splits"
    ):
        read(f"hf:{tmp_path / 'set'}")
    assert len(read(tmp_path / "set").items) == 8


def test_what_a_card_does_not_name_is_left_out(tmp_path: Path) -> None:
    """A repository holds pictures for its README.md too; its card says which files are the data."""
    for split in ("train", "test"):
        for label in ("a", "b"):
            path = tmp_path / "set" / "data" / split / label / "1.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(picture(len(split) + 10 * (label == "b")))
    (tmp_path / "set" / "banner.png").write_bytes(picture(99))
    named = "".join(f"  - {{split: {x}, path: data/{x}/**}}\n" for x in ("train", "test"))
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n{named}---\n"
    (tmp_path / "set" / "README.md").write_text(card)
    assert len(read(f"hf:{tmp_path / 'set'}").items) == 4


def test_tables_of_an_image_folder_are_read_together(tmp_path: Path) -> None:
    for split, shades in (("train", range(4)), ("test", range(4, 8))):
        folder = tmp_path / "set" / split
        folder.mkdir(parents=True)
        for shade in shades:
            (folder / f"{shade}.png").write_bytes(picture(shade))
        rows = "".join(f"{shade}.png,{'ab'[shade % 2]}\n" for shade in shades)
        (folder / "metadata.csv").write_text(f"file_name,label\n{rows}")
    with pytest.raises(LayerhouseError, match=f"add NAME hf:{tmp_path / 'set'} reads all"):
        read(tmp_path / "set")
    items = read(f"hf:{tmp_path / 'set'}").items
    assert [(item.split, item.label) for item in items[3:5]] == [("train", "b"), ("test", "a")]


def test_lists_of_images_are_named(tmp_path: Path) -> None:
    """As datasets for fine-tuning hold them, beside what was said about them."""
    hf = pytest.importorskip("datasets")
    features = hf.Features({"images": hf.Sequence(hf.Image()), "label": hf.Value("string")})
    rows = {"images": [[Image.new("L", (6, 5))]] * 2, "label": ["a", "b"]}
    hf.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "s")
    with pytest.raises(LayerhouseError, match=r"lists of images in its column images.*row\['imag"):
        read(tmp_path / "s")


def test_a_dataset_without_a_label_is_asked_for_its_column(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train-00000-of-00001.parquet", label=["which?"] * 4)
    with pytest.raises(
        LayerhouseError, match=r"has no column label; it has question, answer; --co"
    ):
        read(_renamed(tmp_path / "set"))
    turns = [[{"from": "human", "value": "which?"}, {"from": "gpt", "value": "a"}]] * 4
    parquet(tmp_path / "talk" / "train-00000-of-00001.parquet", label=turns)
    with pytest.raises(LayerhouseError, match=r"the column label of .* holds conversations"):
        read(f"hf:{tmp_path / 'talk'}")


def _renamed(folder: Path) -> str:
    """The folder with a question and its answer in the place of labels, as visual QA has them."""
    path = folder / "train-00000-of-00001.parquet"
    held = pq.read_table(path)
    answers = held.column("label")
    held = held.drop_columns(["label"]).append_column("question", answers)
    pq.write_table(held.append_column("answer", answers), path)
    return f"hf:{folder}"
