"""The packages that the pages for others show work as they are shown."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from extract.datasets import add, resolve
from extract.models.plugins import plugin_for, runs_by_plugin
from tests.docs.examples import examples
from tests.packages import Install
from warehouse.catalogue.refreshing import connect
from warehouse.catalogue.samples import dataset
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake


def install_example(install: Install, page: str, section: str) -> None:
    """Installs the package of a section: its block of Python, named by its block of TOML."""
    shown = examples(page, section)
    ((group, points),) = tomllib.loads(shown["toml"])["project"]["entry-points"].items()
    ((name, place),) = points.items()
    install(group, name, shown["python"], place.partition(":")[2])


def annotated(folder: Path) -> Path:
    """Forty patients with two images each, as the page's labelling tool leaves them."""
    folder.mkdir()
    lines = []
    for number in range(80):
        Image.new("L", (6, 5), number).save(folder / f"{number}.png")
        finding = ("none", "effusion")[number // 2 % 2]
        row = {"file": f"{number}.png", "finding": finding, "patient": f"p{number // 2}"}
        lines.append(json.dumps(row))
    (folder / "annotations.jsonl").write_text("\n".join(lines))
    return folder


def test_the_source_of_the_page_reads_its_folders(install: Install, tmp_path: Path) -> None:
    lake, folder = Lake.at(tmp_path / "lake"), annotated(tmp_path / "Chest")
    with pytest.raises(LayerhouseError, match="holds no images in class folders"):
        add(lake, "chest", folder)
    install_example(install, "extending.md", "A source of datasets")
    assert resolve(lake, str(folder)) == "chest"
    with connect(lake) as warehouse:
        info = dataset(warehouse, "chest")
    assert [row.label for row in info.classes] == ["effusion", "none"]
    assert info.samples["group_id"].n_unique() == 40
    assert info.samples.group_by("group_id").n_unique()["split"].max() == 1


def test_the_model_class_of_the_page_is_found_for_its_folders(install: Install) -> None:
    section = "A model that transformers has no class for: one small class"
    install_example(install, "adding-a-model.md", section)
    plugin = plugin_for({"model_type": "my_kind"})
    assert type(plugin).__name__ == "MyModel"
    assert runs_by_plugin("chexagent-8b")
