"""Every kind of source knows its own, and packages bring others by the same interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.datasets import add, offered, resolve
from extract.datasets.reading import GROUP, SHIPPED, default_name, read_source, source_of, sources
from extract.plugins import Contents, DatasetSource, Item
from tests.packages import Install
from tests.tables import tables
from warehouse.catalogue.samples import dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


def folder(root: Path) -> str:
    for label in ("a", "b"):
        (root / "Set" / label).mkdir(parents=True)
        Image.new("L", (6, 5), ord(label)).save(root / "Set" / label / "0.png")
    return str(root / "Set")


def manifest(root: Path) -> str:
    place = Path(folder(root)) / "manifest.csv"
    place.write_text("image_path,label\na/0.png,a\nb/0.png,b\n")
    return str(place.parent)  # a folder of classes too, if it were not for the manifest


def archive(root: Path) -> str:
    arrays = {"train_images": np.zeros((2, 6, 5), np.uint8), "train_labels": np.arange(2)}
    np.savez(root / "set.npz", **arrays)
    return str(root / "set.npz")


def saved(root: Path) -> str:
    hf = pytest.importorskip("datasets", reason="the extra layerhouse[datasets] is not installed")
    images = [Image.new("L", (6, 5), grey) for grey in (0, 1)]
    features = hf.Features({"image": hf.Image(), "label": hf.Value("string")})
    hf.disable_progress_bars()
    hf.Dataset.from_dict({"image": images, "label": ["a", "b"]}, features=features).save_to_disk(
        root / "Set"
    )
    return str(root / "Set")


MADE: dict[str, Callable[[Path], str]] = {
    "Digits": lambda _: "digits",
    "ClassFolders": folder,
    "Manifest": manifest,
    "MedMnist": archive,
    "SavedDataset": saved,
}
OF_THE_HUB = {"HubDataset": "hf:someone/Some-Set/config"}


def test_every_kind_of_source_is_tried_here() -> None:
    assert {type(source).__name__ for source in SHIPPED} == {*MADE, *OF_THE_HUB}


@pytest.mark.parametrize("kind", list(MADE))
def test_each_source_is_found_for_its_own_and_reads_labelled_images(
    kind: str, tmp_path: Path
) -> None:
    typed = MADE[kind](tmp_path)
    assert type(source_of(typed)).__name__ == kind
    contents = read_source(typed)
    labels = {item.label for item in contents.items}
    assert len(labels) >= 2
    assert contents.labels is None or set(contents.labels) == labels
    assert default_name(typed) == ("digits" if kind == "Digits" else "set")


def test_an_address_of_the_hub_is_one_without_being_asked_for() -> None:
    (kind, typed), = OF_THE_HUB.items()  # fmt: skip
    assert type(source_of(typed)).__name__ == kind
    assert default_name(typed) == "some-set-config"


@pytest.mark.parametrize(
    ("name", "content", "way_out"),
    [
        ("notes.md", b"x", "give a folder of classes"),
        ("labels.txt", b"image_path,label\n", "first line name the columns .*call it .csv"),
        ("labels.dat", b"1 2\n", "call it .csv, or .tsv where tabs"),
        ("labels.pkl", b"\x80\x04", "save it as CSV or Parquet"),
        ("labels.feather", b"ARROW1", "save it as CSV or Parquet"),
        ("one.jpg", b"\xff\xd8\xff\xe0", "it is one image, and a dataset is many"),
        ("one", b"\0" * 128 + b"DICM" + b"\0" * 9, "it is one image, and a dataset is many"),
    ],
)
def test_what_no_source_knows_is_named(
    tmp_path: Path, name: str, content: bytes, way_out: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name} is no dataset; .*{way_out}") as caught:
        read_source(str(tmp_path / name))
    assert "give a folder of classes" in str(caught.value)


RINGS = """
from pathlib import Path

from extract.plugins import Contents, DatasetSource, Item


class Rings(DatasetSource):
    offers = ("rings",)

    def recognises(self, typed):
        return typed == "rings" or (Path(typed) / "rings.txt").is_file()

    def read(self, typed):
        return Contents(typed, [Item("0", "0.png", "round")], "Rings")
"""


def test_a_package_brings_a_source_that_is_asked_before_folders_of_classes(
    install: Install, tmp_path: Path
) -> None:
    place = Path(folder(tmp_path))
    (place / "rings.txt").write_text("")
    assert type(source_of(str(place))).__name__ == "ClassFolders"
    install(GROUP, "rings", RINGS, "Rings")
    assert type(source_of(str(place))).__name__ == "Rings"
    assert read_source(str(place)).title == "Rings"
    assert offered() == ("digits", "rings")
    assert [type(source).__name__ for source in sources()][:2] == ["Digits", "Rings"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("None", "reads rings as a NoneType, no Contents"),
        ('Contents(typed, [], "Rings")', "finds no images in rings"),
    ],
)
def test_a_package_whose_source_reads_nothing_is_named(
    install: Install, given: str, said: str
) -> None:
    kept = 'Contents(typed, [Item("0", "0.png", "round")], "Rings")'
    install(GROUP, "rings", RINGS.replace(kept, given), "Rings")
    with pytest.raises(LayerhouseError, match=rf"rings_package\.Rings {said}"):
        read_source("rings")


class Squares(DatasetSource):
    """What a package might bring: a text file with one grey value and label per line."""

    def recognises(self, typed: str) -> bool:
        return typed.endswith(".squares") and Path(typed).is_file()

    def read(self, typed: str) -> Contents:
        place = Path(typed).absolute()
        items = []
        for number, line in enumerate(place.read_text().splitlines()):
            grey, label = line.split()
            image = place.with_name(f"{number}.png")
            Image.new("L", (6, 5), int(grey)).save(image)
            items.append(Item(str(number), str(image), label))
        return Contents(str(place), items, place.stem)


def test_a_source_of_a_package_is_checked_and_registered_as_any_other(
    install: Install, tmp_path: Path
) -> None:
    lake, place = Lake.at(tmp_path / "lake"), tmp_path / "Grey.squares"
    lines = [f"{grey} {'dark' if grey < 128 else 'light'}" for grey in range(0, 256, 4)]
    place.write_text("\n".join(lines))
    with pytest.raises(UsageError, match="is no dataset"):
        add(lake, "grey", place)
    code = f"from {__name__} import Squares\n"
    install(GROUP, "squares", code, "Squares")
    assert resolve(lake, str(place)) == "grey"
    with tables(lake) as warehouse:
        info = dataset(warehouse, "grey")
    assert [row.label for row in info.classes] == ["dark", "light"]
    assert len(info.samples) == 64
    assert set(info.samples["split"]) == {"train", "val", "test"}
    place.write_text("\n".join(lines[:-4]))
    with pytest.raises(LayerhouseError, match="4 samples are gone"):
        add(lake, "grey", place)
