"""A model class that transformers does not have runs through one small class of a package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from extract.models import plugins
from extract.models.loading import load
from extract.models.placement import Placement
from extract.models.plugins import ModelPlugin, plugin_for, register
from extract.models.processors import ready_processor
from extract.models.sources import locate
from extract.running.extraction import ExtractRequest, extract
from tests.packages import Install
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


class DimLlava(transformers.LlavaForConditionalGeneration):
    """A class of somebody's own: LLaVA that looks through dark glass."""

    def forward(self, *args: Any, pixel_values: Any = None, **kwargs: Any) -> Any:
        dark = None if pixel_values is None else pixel_values * 0.5
        return super().forward(*args, pixel_values=dark, **kwargs)


class DimPlugin(ModelPlugin):
    model_type = "dim_llava"
    registry_names = ("chexagent-8b",)

    def load(self, folder: Path, dtype: torch.dtype) -> Any:
        config = json.loads((folder / "config.json").read_text()) | {"model_type": "llava"}
        return DimLlava.from_pretrained(
            folder, config=transformers.LlavaConfig.from_dict(config), dtype=dtype
        )

    def processor(self, folder: Path) -> Any:
        return ready_processor(folder).processor


@pytest.fixture
def folder(llava_folder: Path, tmp_path: Path) -> Path:
    copied = Path(shutil.copytree(llava_folder, tmp_path / "dim"))
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "dim_llava", "auto_map": {"AutoModel": "code.Own"}}
    (copied / "config.json").write_text(json.dumps(config))
    return copied


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {})


@pytest.mark.usefixtures("nothing_registered")
def test_a_registered_class_runs_and_is_part_of_the_identity(
    folder: Path, llava_folder: Path, lake: Lake
) -> None:
    with pytest.raises(LayerhouseError, match="needs code from its own repository"):
        load(str(folder))
    register(DimPlugin())
    summary = extract(lake, ExtractRequest(str(folder), "pictures", max_new_tokens=4, limit=2))
    extract(lake, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4, limit=2))
    assert summary.added
    with tables(lake) as wh:
        differing = wh.sql(
            "SELECT count(*) FROM activation AS a JOIN activation AS b "
            "USING (module, layer, readout, sample_id) "
            "WHERE a.model_id = 'dim' AND b.model_id = 'llava' AND a.vector <> b.vector"
        ).fetchall()
    assert differing[0][0] > 0
    assert locate(str(folder)).identity()["plugin"].endswith("DimPlugin")
    with pytest.raises(UsageError, match="loaded by a plug-in, whole and on one device"):
        load(locate(str(folder), placement=Placement("4bit")))


@pytest.mark.usefixtures("nothing_registered")
def test_an_installed_package_brings_its_class(folder: Path, install: Install) -> None:
    install(
        "layerhouse.models",
        "dim",
        "from extract.plugins import ModelPlugin\n\n\n"
        "class Dim(ModelPlugin):\n"
        "    model_type = 'dim_llava'\n\n"
        "    def load(self, folder, dtype):\n        raise NotImplementedError\n\n"
        "    def processor(self, folder):\n        raise NotImplementedError\n",
        "Dim",
    )
    found = plugin_for(json.loads((folder / "config.json").read_text()))
    assert found is not None
    assert found.identity == "dim_package.Dim"


@pytest.mark.usefixtures("nothing_registered")
def test_a_plugin_opens_the_registry_entries_it_names() -> None:
    with pytest.raises(LayerhouseError, match="or write a plug-in"):
        locate("chexagent-8b")
    register(DimPlugin())
    with pytest.raises(LayerhouseError, match="hub cannot be reached"):
        locate("chexagent-8b")
    with pytest.raises(LayerhouseError, match="or write a plug-in"):
        locate("radfm")
