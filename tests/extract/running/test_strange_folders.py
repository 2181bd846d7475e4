"""Folders of models that a person has and nobody made for us: refused in one sentence each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from layerhouse.cli import main
from tests.extract.conftest import FamilyFolders

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def lake(registered_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One lake for all: what is refused leaves nothing in it."""
    return Path(shutil.copytree(registered_lake, tmp_path_factory.mktemp("strange") / "lake"))


def said(name: str, *path: str, value: Any) -> Edit:
    """A JSON file in which a setting is another."""

    def edit(folder: Path) -> None:
        whole = inner = json.loads((folder / name).read_text())
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        (folder / name).write_text(json.dumps(whole))

    return edit


def _without_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "lm_head" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


CONFIG, PROCESSOR = "config.json", "processor_config.json"
STRANGE: dict[str, tuple[str, Edit, str]] = {
    "a dtype of the future": (
        "llava", said(CONFIG, "dtype", value="float17"), "the dtype 'float17', which"),
    "a token by its name": (
        "llava", said(CONFIG, "image_token_index", value="<image>"), "expected int, got str"),
    "a decoder of no class": (
        "llava", said(CONFIG, "text_config", "model_type", value="hyperlm"),
        "config.json describes no llava model: Unrecognized model type for subconfig: hyperlm"),
    "a tower of no class": (
        "llava", said(CONFIG, "vision_config", "model_type", value="hypervit"),
        "Unrecognized model type for subconfig: hypervit"),
    "tiles that no class has": (
        "mllama", said(CONFIG, "vision_config", "max_num_tiles", value=2), "max_num_tiles must be"),
    "a layer that the tower lacks": (
        "llava", said(CONFIG, "vision_feature_layer", value=-99),
        "vision_feature_layer of config.json is -99, and its vision tower has 3 layers"),
    "an activation of no name": (
        "llava", said(CONFIG, "text_config", "hidden_act", value="wavelu"), "'wavelu'"),
    "too many layers": (
        "llava", said(CONFIG, "text_config", "num_hidden_layers", value=9), "missing weights"),
    "too few layers": (
        "llava", said(CONFIG, "text_config", "num_hidden_layers", value=2), "unexpected weights"),
    "another image size": (
        "llava", said(CONFIG, "vision_config", "image_size", value=112), "1 mismatched weights"),
    "another patch merger": (
        "qwen2_vl", said(CONFIG, "vision_config", "spatial_merge_size", value=4), "mismatched"),
    "another family's processor": (
        "llava", said(PROCESSOR, "processor_class", value="Qwen2VLProcessor"),
        "Qwen2VLProcessor prepares its input, where a llava model has a LlavaProcessor"),
    "another family's images": (
        "llava",
        said(PROCESSOR, "image_processor", value={"image_processor_type": "Qwen2VLImageProcessor"}),
        "; Qwen2VLImageProcessor prepares its input, where a llava model has a"),
    "another number of image tokens": (
        "idefics3", said(PROCESSOR, "image_seq_len", value=3),
        "Image features and image tokens do not match"),
    "images without a size": (
        "llava",
        said(PROCESSOR, "image_processor", "size", value={"height": 0, "width": 0}),
        "Size must contain"),
    "two means for three colours": (
        "llava", said(PROCESSOR, "image_processor", "image_mean", value=[0.5, 0.5]),
        "mean must have 3 elements"),
    "pixels divided by nothing": (
        "llava", said(PROCESSOR, "image_processor", "image_std", value=[0, 0, 0]),
        "the processor makes values of an image that are not finite"),
    "no head": ("llava", _without_head, "1 missing weights, first lm_head.weight"),
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_strange_folder_is_one_sentence_and_leaves_nothing(
    what: str,
    lake: Path,
    family_folder: FamilyFolders,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    family, edit, sentence = STRANGE[what]
    folder = Path(shutil.copytree(family_folder(family), tmp_path / "strange"))
    edit(folder)
    before = sorted((lake / "commits").glob("*.json"))
    words = ["extract", "--model", str(folder), "--dataset", "pictures", "--lake", str(lake)]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--answers-only", "--limit", "2"])
    told = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 1
    assert told.startswith("Error: ")
    assert sentence in told
    assert "unexpected failure" not in told
    assert len(told) < 600
    assert sorted((lake / "commits").glob("*.json")) == before
