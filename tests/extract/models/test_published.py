"""Checkpoints in a layout of their own load into transformers' class, and give the same numbers.

Tiny models of the real classes are written the way Hulu-Med and LLaVA-Med are published: weights
under the originals' names, a flat configuration that asks for code, no processor of transformers.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.models import architectures, published, registry
from extract.models.loading import load
from extract.models.processors import ready_processor
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt
from extract.models.session import Session, open_session
from extract.models.sources import ModelSource, locate
from tests.extract import tiny_families
from tests.extract.conftest import FamilyFolders
from tests.extract.models.asked import read_prompt
from tests.extract.tiny_families import (
    LAYERS,
    SIDE,
    TEXT_LAYERS,
    TEXT_WIDTH,
    clip,
    picture,
    tower,
    vicuna,
)
from warehouse.errors import LayerhouseError

HULU = {
    "model.vision_model.": "model.vision_encoder.",
    "model.projector.": "model.mm_projector.",
    "model.language_model.": "model.",
}
HULU_NESTED = HULU | {"model.vision_model.": "model.vision_encoder.vision_encoder."}
LLAVA_MED = {
    "model.vision_tower.": "model.vision_tower.vision_tower.vision_model.",
    "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
    "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
    "model.language_model.": "model.",
}
CASES = {
    "hulumed_qwen2": ("hulu-med-7b", "video_llama_3", HULU),
    "hulumed_qwen3": ("hulu-med-4b", "video_llama_3_qwen3", HULU),
    "hulumed_qwen2, which is qwen3": ("hulu-med-4b", "video_llama_3_qwen3", HULU_NESTED),
    "llava_mistral": ("llava-med-v1.5-original", "llava", LLAVA_MED),
    "llava_qwen2": ("huatuogpt-vision-7b", "clip_qwen2", LLAVA_MED),
}
MARKS = {"llava_qwen2": ("<image>", "<|im_start|>")}
"""Which token of the tiny tokenizer is called as the original's that stands for an image."""


def _as_published(native: Path, folder: Path, model_type: str, names: dict[str, str]) -> None:
    """Write `native` the way its authors would have published it."""
    folder.mkdir()
    weights = load(str(native)).model.state_dict()
    renamed = {_renamed(name, names): weight.clone() for name, weight in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((native / "config.json").read_text())["text_config"]
    config |= {"model_type": model_type, "auto_map": {"AutoConfig": "code.OwnConfig"}}
    config["architectures"] = ["OwnForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    mark = MARKS.get(model_type, ("<|image_pad|>", "<image>"))
    words = (native / "tokenizer.json").read_text().replace(*mark)
    (folder / "tokenizer.json").write_text(words)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    special |= {"tokenizer_class": "PreTrainedTokenizerFast", "processor_class": "OwnProcessor"}
    (folder / "tokenizer_config.json").write_text(json.dumps(special))
    images = {"image_processor_type": "OwnImageProcessor", "patch_size": 14}
    if model_type.startswith("llava"):
        images |= {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(images))


def _clip_qwen2(folder: Path) -> Path:
    model, processor = tiny_families._llava("qwen2", clip(), vicuna(), with_cls=True)
    tiny_families.sharpen(model).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _renamed(name: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


@pytest.fixture(params=list(CASES))
def case(
    request: pytest.FixtureRequest,
    family_folder: FamilyFolders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[ModelSource, Path]:
    """A published folder as `locate` finds it, with its tower's tiny sizes, and its native twin."""
    model_type = str(request.param).split(",")[0]
    entry_name, family, names = CASES[str(request.param)]
    native = _clip_qwen2(tmp_path / family) if family == "clip_qwen2" else family_folder(family)
    entry = registry.entry_named(entry_name)
    assert model_type in published.layouts()[str(entry.published_as)]["model_types"]
    sizes = dict(architectures.architecture_sizes()[str(entry.architecture)])
    vision = clip() if model_type.startswith("llava") else tower()
    is_llava = model_type.startswith("llava")
    sizes["vision"] = {k: v for k, v in vision.items() if k != "image_size" or is_llava}
    monkeypatch.setattr(architectures, "architecture_sizes", lambda: {entry.architecture: sizes})
    entry = dataclasses.replace(entry, llm=(TEXT_LAYERS, TEXT_WIDTH), preprocessing={})
    monkeypatch.setattr(published, "registry", lambda: {entry.name: entry})
    folder = tmp_path / "as-published"
    _as_published(native, folder, model_type, names)
    return locate(str(folder)), native


def _logits(session: Session, inputs: Any) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return session.last_logits(session.forward(session.on_device(inputs))).numpy()


def test_a_published_folder_runs_as_its_native_twin(case: tuple[ModelSource, Path]) -> None:
    source, native = case
    assert source.entry is not None
    assert source.entry.hub is None  # a folder may hold anyone's weights
    loaded, twin = load(source), load(str(native))
    for (name, one), (other_name, other) in zip(
        sorted(loaded.model.state_dict().items()),
        sorted(twin.model.state_dict().items()),
        strict=True,
    ):
        assert name == other_name
        assert torch.equal(one, other), name
    images = [picture(100, 80, seed=1), picture(64, 90, seed=2)]
    question = build_prompt(["benign", "malignant"])
    session, reference = (
        open_session(loaded, Wording(question)),
        open_session(twin, Wording(question)),
    )
    inputs = session.encode(images)
    mark, twins_mark = session.anatomy.image_token_id, reference.anatomy.image_token_id
    assert mark is not None
    assert twins_mark is not None
    as_twin = dict(inputs)
    as_twin["input_ids"] = torch.where(inputs["input_ids"] == mark, twins_mark, inputs["input_ids"])
    counted = (inputs["input_ids"] == mark).sum(dim=1)
    expected = reference.encode(images)
    assert torch.equal(counted, (expected["input_ids"] == twins_mark).sum(dim=1))
    assert torch.equal(inputs["pixel_values"], expected["pixel_values"])
    np.testing.assert_allclose(
        _logits(session, inputs), _logits(reference, as_twin), rtol=1e-4, atol=1e-4
    )
    assert len(session.anatomy.of("vision")) >= LAYERS


def test_a_published_folder_of_unknown_sizes_asks_for_code_and_is_refused(
    case: tuple[ModelSource, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "registry", dict)
    with pytest.raises(LayerhouseError, match="needs code from its own repository, which is not"):
        load(str(case[0].folder))


def test_a_tokenizer_without_the_image_token_is_named(
    case: tuple[ModelSource, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(case[0].folder, tmp_path / "other"))
    layout = {"image_token": "<picture>"}
    with pytest.raises(LayerhouseError, match="has no token '<picture>' for images"):
        published.published_tokenizer(folder, layout)


def test_every_layout_is_used_and_every_published_entry_has_one() -> None:
    named = {e.published_as for e in registry.matching_entries() if e.published_as is not None}
    assert named == set(published.layouts())


def test_published_weights_are_read_in_full(case: tuple[ModelSource, Path]) -> None:
    source, _ = case
    path = source.folder / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "mm_projector" in name))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(LayerhouseError, match="1 missing weights"):
        load(source)


@pytest.mark.parametrize("case", ["hulumed_qwen2", "llava_mistral", "llava_qwen2"], indirect=True)
def test_a_published_folder_is_asked_as_its_authors_do(case: tuple[ModelSource, Path]) -> None:
    source, _ = case
    expected = {
        "hulumed_qwen2": "<|im_start|>user\n<image>\nWhich?<|im_end|>\n<|im_start|>assistant\n",
        "llava_mistral": "[INST] <unk>\nWhich? [/INST]",
        "llava_qwen2": "<|user|>\n<|im_start|>\nWhich?\n<|assistant|>\n",
    }
    prompt = read_prompt(source, "Which?")
    assert prompt.text == expected[str(source.config["model_type"])]
    assert not prompt.template.is_new, "runs of versions before have this prompt"


OWN = (
    "{% if add_system_prompt %}<|im_start|>system\nYou are HuluMed.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] + '\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ image_token + '\n' }}{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("case", ["hulumed_qwen2", "llava_qwen2"], indirect=True)
def test_the_originals_own_template_counts_where_its_authors_use_it(
    case: tuple[ModelSource, Path],
) -> None:
    """Hulu-Med's code renders chat_template.json; the tokenizer's of Qwen is used by neither."""
    source, _ = case
    before = read_prompt(source, "Which?").text
    path = source.folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": "Qwen's"}))
    assert read_prompt(source, "Which?").text == before
    (source.folder / "chat_template.json").write_text(json.dumps({"chat_template": OWN}))
    prompt = read_prompt(source, "Which?")
    if source.config["model_type"] == "llava_qwen2":
        assert prompt.text == before
        return
    assert prompt.text == f"<|im_start|>system\nYou are HuluMed.<|im_end|>\n{before}"
    assert prompt.template.is_new


@pytest.mark.parametrize("case", ["hulumed_qwen2"], indirect=True)
@pytest.mark.parametrize(
    ("told", "side"),
    [({}, 73), ({"min_tokens": 16, "max_tokens": 400}, 20), ({"max_tokens": 100}, 10)],
)
def test_a_picture_may_have_as_many_patches_as_the_original_says(
    told: dict[str, int], side: int, case: tuple[ModelSource, Path]
) -> None:
    """An X-ray of 1,024 by 1,024 pixels is 73 patches wide: it is not shrunk."""
    source, _ = case
    path = source.folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | told))
    ready = ready_processor(source.folder, source.entry)
    found = ready.processor.image_processor(images=[picture(1024, 1024)], return_tensors="pt")
    assert found["image_grid_thw"].tolist() == [[1, side, side]]
    assert source.identity()["layout_revision"] == 2
