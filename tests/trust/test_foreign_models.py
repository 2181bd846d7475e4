"""A model's folder or an adapter from a stranger runs no code and reaches nothing outside."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from extract import models
from extract.models import weights
from extract.models.bases import check_base
from extract.models.files import weight_facts
from extract.models.safety import refuse_unsafe_adapter
from extract.models.sources import locate
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object


class Trap:
    """A pickle that, once read, makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import numpy as np

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    save_file({"w": np.zeros(2, dtype=np.float32)}, folder / "model-1.safetensors")
    return folder


def _index(folder: Path, *names: object) -> None:
    said = {"metadata": {}, "weight_map": {f"w{n}": name for n, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (None, "model_type", {}),
        (None, "model_type", ["llava"]),
        ("vision_config", "num_hidden_layers", 10**9),
        ("text_config", "num_hidden_layers", 10**9),
    ],
)
def test_a_configuration_that_nothing_can_be_built_by_is_refused(
    tmp_path: Path, part: str | None, name: str, value: object
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(models.__file__).parent / "tiny-digits", folder)
    said = json.loads((folder / "config.json").read_text())
    (said if part is None else said[part])[name] = value
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(LayerhouseError, match=name.replace("num_hidden", "(?s)config.*")):
        models.load(str(folder))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("vision_config", "num_hidden_layers", 10**9),
        ("text_config", "num_hidden_layers", 10**9),
        ("vision_config", "hidden_size", 10**9),
        ("vision_config", "intermediate_size", 10**12),
        ("text_config", "hidden_size", 2**40),
        ("text_config", "vocab_size", 2**40),
        ("text_config", "intermediate_size", 2**62),
        ("text_config", "num_attention_heads", 10**9),
    ],
)
def test_untrained_weights_of_any_size_are_refused_before_they_take_memory(
    tmp_path: Path, part: str, name: str, value: int
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(models.__file__).parent / "tiny-digits", folder)
    said = json.loads((folder / "config.json").read_text())
    said[part][name] = value
    (folder / "config.json").write_text(json.dumps(said))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, hard))
    try:
        with pytest.raises(LayerhouseError) as refusal:
            models.load(locate(str(folder), random_seed=1), device="cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert "\n" not in str(refusal.value)


def test_untrained_weights_of_very_many_modules_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(models.__file__).parent / "tiny-digits"
    assert models.load(locate(str(folder), random_seed=1), device="cpu").n_parameters > 0
    monkeypatch.setattr(weights, "MOST_PARTS", 20)
    with pytest.raises(LayerhouseError, match="more than 20 modules"):
        models.load(locate(str(folder), random_seed=1), device="cpu")


def test_a_plain_folder_is_taken(folder: Path) -> None:
    _index(folder, "model-1.safetensors")
    assert locate(str(folder)).folder == folder


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin", "model.pt", "model.ckpt", "model.pkl", "model.safetensors.bin",
        "../outside.safetensors", "/etc/outside.safetensors", "sub/model.safetensors",
        "..\\outside.safetensors", "", 7, None, ["model-1.safetensors"],
    ],
)  # fmt: skip
def test_an_index_names_files_of_its_folder_that_are_no_pickles(
    folder: Path, tmp_path: Path, name: object
) -> None:
    trace = tmp_path / "trace"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(trace)))
    _index(folder, "model-1.safetensors", name)
    with pytest.raises(LayerhouseError, match=r"index\.json names"):
        locate(str(folder))
    assert not trace.exists()


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "../out.safetensors", "sub/a.safetensors", "sub\\a.safetensors"]
)
def test_a_configuration_names_weights_of_its_folder(folder: Path, name: str) -> None:
    said = {"model_type": "llava", "transformers_weights": name}
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(LayerhouseError, match="as its weights"):
        locate(str(folder))


@pytest.mark.parametrize("said", [[], {}, {"weight_map": []}, {"weight_map": None}])
def test_an_index_of_another_shape_is_refused(folder: Path, said: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(said))
    with pytest.raises(LayerhouseError, match=r"index\.json"):
        locate(str(folder))


@pytest.mark.parametrize(
    "said",
    [
        {"attn_implementation": "somebody/kernel"},
        {"text_config": {"_attn_implementation": "somebody/kernel:attention"}},
        {"vision_config": {"_attn_implementation_internal": "a/b", "attn_implementation": "a/b"}},
        {"attn_implementation": {"": "somebody/kernel"}},
        {"_experts_implementation": "somebody/kernel"},
        {"vision_config": {"model_args": {"checkpoint_path": "/tmp/model.bin"}}},
        {"vision_config": {"architecture": "hf-hub:somebody/model"}},
    ],
)
def test_a_configuration_brings_no_code_of_the_hub(folder: Path, said: dict[str, Any]) -> None:
    """And timm no checkpoint of elsewhere."""
    (folder / "config.json").write_text(json.dumps({"model_type": "llava", **said}))
    with pytest.raises(LayerhouseError, match=r"which is not run|elsewhere"):
        locate(str(folder))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"megatron_core": "antigravity"}, "antigravity, which is not run"),
        ({"megatron_config": {"a": 1}, "megatron_core": "megatron.core"}, "which is not run"),
        ({"peft_type": "XLORA", "adapters": {"0": "/etc"}}, "not read"),
        ({"peft_type": "xlora"}, "not read"),
        ({"modules_to_save": "a" * 100_000}, "100,000 letters in modules_to_save"),
        ({"base_model_name_or_path": "a" * 100_000}, "100,000 letters in base_model"),
    ],
)
def test_an_adapter_imports_nothing(tmp_path: Path, said: dict[str, Any], why: str) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", **said}))
    with pytest.raises(LayerhouseError, match=why):
        refuse_unsafe_adapter(path)


@pytest.mark.parametrize("base", ["~nobody-here/base", "a" * 5000, "/" + "a" * 300, "a\0b"])
def test_a_base_that_no_folder_can_be_is_only_a_name(
    tmp_path: Path, folder: Path, base: str
) -> None:
    if base.startswith(("~", "/")):
        assert "not on this machine" in str(check_base(tmp_path, base, folder, ["model"]))
    else:
        with pytest.raises(UsageError, match="was made for"):
            check_base(tmp_path, base, folder, ["model"])
    with pytest.raises(LayerhouseError):
        locate(base)


def test_a_plain_adapter_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "megatron_core": "megatron.core"}))
    refuse_unsafe_adapter(path)


@pytest.mark.parametrize("name", ["config.json", "model-1.safetensors"])
def test_a_pipe_in_a_model_folder_does_not_hang(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(LayerhouseError):
        locate(str(folder))


def test_the_mark_of_a_windows_editor_is_called_so(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    with pytest.raises(LayerhouseError, match="save it as UTF-8 without it"):
        read_object(path)


def test_a_configuration_without_bounds_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000)
    with pytest.raises(LayerhouseError, match="cannot be read"):
        read_object(folder / "config.json")


@pytest.mark.parametrize("header", [b"[" * 100_000, b'{"w": 7}', b"\xff" * 9, b"{"])
def test_a_header_of_weights_without_bounds_is_refused(folder: Path, header: bytes) -> None:
    path = folder / "model-1.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(LayerhouseError, match="no header of weights"):
        weight_facts(folder)
