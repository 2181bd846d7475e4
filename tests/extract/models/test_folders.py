"""What people give in the place of a model or an adapter is named for what it is, in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from extract.models.files import refuse_cut_off, refuse_empty, refuse_twice, weight_facts
from extract.models.folders import clear_weights
from extract.models.sources import locate
from warehouse.errors import LayerhouseError, UsageError

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


def _weights(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.zeros(200, dtype=np.float32)}, path)


def _model(folder: Path) -> Path:
    _weights(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    return folder


def _adapter(folder: Path, base: str = "") -> Path:
    _weights(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": base})
    )
    return folder


def _without_weights(folder: Path, *others: str) -> Path:
    (_model(folder) / "model.safetensors").unlink()
    for name in others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def _gguf(folder: Path) -> Path:
    folder.mkdir()
    for name in ("model-Q4_K_M.gguf", "mmproj.gguf"):
        (folder / name).write_bytes(b"GGUF")
    return folder


def _pointer(folder: Path, name: str) -> Path:
    (_model(folder) / name).write_text(POINTER)
    return folder


def _above(folder: Path, *inner: str) -> Path:
    for name in inner:
        _model(folder / name)
    return folder


MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda f: f, "does not exist"),
    "a file of weights": (lambda f: _model(f) / "model.safetensors", "is a file; give the folder"),
    "a trainer's output": (
        lambda f: _above(f, "checkpoint-1000", "checkpoint-500"),
        "its folders checkpoint-1000, checkpoint-500 have: give one of them",
    ),
    "a repository of the hub's cache": (
        lambda f: _above(f, "snapshots/0123abcd"),
        "its folders snapshots/0123abcd have",
    ),
    "a folder far above": (lambda f: _above(f, "runs/a/final"), "its folders runs/a/final have"),
    "GGUF": (_gguf, "mmproj.gguf, model-Q4_K_M.gguf are weights of llama.cpp"),
    "GGUF with its config": (
        lambda f: _without_weights(f, "model-Q4.gguf"),
        "model-Q4.gguf are weights of llama.cpp",
    ),
    "a GGUF file": (lambda f: _gguf(f) / "mmproj.gguf", "is a file; give the folder"),
    "DeepSpeed": (
        lambda f: _without_weights(f, "global_step500/mp_rank_00_model_states.pt"),
        r"a training state of DeepSpeed: write its weights with `python zero_to_fp32\.py",
    ),
    "FSDP": (
        lambda f: _without_weights(f, "pytorch_model_fsdp_0/__0_0.distcp"),
        "a training state of FSDP: write its weights with `accelerate merge-weights`",
    ),
    "pickles": (
        lambda f: _without_weights(f, "pytorch_model.bin"),
        "pickled weights are not read, save the model again with save_pretrained",
    ),
    "an adapter": (lambda f: _adapter(f, "someone/base"), "give someone/base as --model and this"),
    "a pointer of git-lfs": (
        lambda f: _pointer(f, "model.safetensors"),
        r"model\.safetensors is a pointer of git-lfs, not the file itself; fetch it with",
    ),
    "a tokenizer's pointer": (
        lambda f: _pointer(f, "tokenizer.json"),
        r"tokenizer\.json is a pointer of git-lfs",
    ),
    "config.json's pointer": (
        lambda f: _pointer(f, "config.json"),
        r"config\.json is a pointer of git-lfs",
    ),
}


@pytest.mark.parametrize("what", list(MODELS))
def test_what_is_no_model_is_named_with_the_way_out(what: str, tmp_path: Path) -> None:
    make, message = MODELS[what]
    with pytest.raises(LayerhouseError, match=message) as raised:
        locate(str(make(tmp_path / "given")))
    assert "\n" not in str(raised.value)


def _bare(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def _beside(folder: Path, name: str) -> Path:
    (_adapter(folder) / name).write_bytes(b"x")
    return folder


ADAPTERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda f: f, "it does not exist; one on the hub is to be downloaded first"),
    "its weights": (
        lambda f: _adapter(f) / "adapter_model.safetensors",
        "it is a file; give the folder that it lies in",
    ),
    "pickles": (
        lambda f: _bare(f, "adapter_config.json", "adapter_model.bin"),
        "its weights are pickled, which are not read; save it again with peft's save_pretrained",
    ),
    "a model": (_model, "it is a model of its own; give it as --model"),
    "shards": (
        lambda f: _bare(f, "adapter_config.json", "adapter_model-00001-of-00002.safetensors"),
        r"it needs adapter_config\.json and adapter_model\.safetensors",
    ),
    "several": (
        lambda f: _adapter(_adapter(f / "dpo").parent / "sft").parent,
        "its folders dpo, sft have: give one of them",
    ),
    "LLaVA's projector beside it": (
        lambda f: _beside(f, "non_lora_trainables.bin"),
        r"lie weights that were trained with it and that peft does not read \(non_lora_trainables",
    ),
    "a tower beside it": (lambda f: _beside(f, "vit.safetensors"), r"not read \(vit\.safetensors"),
    "a pointer of git-lfs": (
        lambda f: (_adapter(f) / "adapter_model.safetensors").write_text(POINTER) and f,
        r"adapter_model\.safetensors is a pointer of git-lfs",
    ),
}


@pytest.mark.parametrize("what", list(ADAPTERS))
def test_what_is_no_adapter_is_named_with_the_way_out(what: str, tmp_path: Path) -> None:
    make, message = ADAPTERS[what]
    with pytest.raises(LayerhouseError, match=message) as raised:
        locate(str(_model(tmp_path / "base")), adapter=make(tmp_path / "given"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["optimizer.pt", "rng_state_0.pth", "training_args.bin", "adapter_model.bin"]
)
def test_what_a_trainer_leaves_beside_an_adapter_does_no_harm(name: str, tmp_path: Path) -> None:
    base = _model(tmp_path / "base")
    source = locate(str(base), adapter=_beside(tmp_path / "checkpoint-500", name))
    assert source.variant == "adapter:checkpoint-500"


def test_an_adapter_on_an_adapter_names_the_first(tmp_path: Path) -> None:
    first = _adapter(tmp_path / "sft")
    second = _adapter(tmp_path / "dpo", str(first))
    with pytest.raises(UsageError, match=f"was made on top of another, {first}; merge that one"):
        locate(str(_model(tmp_path / "base")), adapter=second)


@pytest.mark.parametrize("kept", [-40, 40, 4, 0])
def test_weights_that_are_cut_short_are_told_before_they_are_read(
    kept: int, tmp_path: Path
) -> None:
    path = _model(tmp_path / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LayerhouseError, match=r"model\.safetensors is damaged: .*; fetch it again"):
        weight_facts(path.parent)


def _sharded(folder: Path, *there: str) -> Path:
    """A folder whose index names two shards; those that are `there` hold weights."""
    (_model(folder) / "model.safetensors").unlink()
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    told = {"weight_map": {f"w{number}": name for number, name in enumerate(shards)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(told))
    for name in there or shards:
        _weights(folder / name)
    return folder


def _without_index(folder: Path) -> Path:
    (_sharded(folder) / "model.safetensors.index.json").unlink()
    return folder


def _renamed(folder: Path) -> Path:
    path = _model(folder) / "model.safetensors"
    path.rename(folder / "model.fp16.safetensors")
    return folder


UNCLEAR: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an older whole beside shards": (
        lambda f: _weights(_sharded(f) / "model.safetensors") or f,
        r"holds weights twice, in model\.safetensors and in the 2 files that model\.safetensors\.",
    ),
    "a shard that did not come": (
        lambda f: _sharded(f, "model-00001-of-00002.safetensors"),
        r"lacks 1 of the 2 files that .*, first model-00002-of-00002\.safetensors; fetch them",
    ),
    "no index": (_without_index, r"holds model-00001-of-00002.*neither .* fetch the index too"),
    "a variant alone": (_renamed, r"holds model\.fp16\.safetensors, but .*, or give a single file"),
}


@pytest.mark.parametrize("what", list(UNCLEAR))
def test_which_files_are_the_weights_must_be_clear(what: str, tmp_path: Path) -> None:
    make, message = UNCLEAR[what]
    with pytest.raises(LayerhouseError, match=message) as raised:
        clear_weights(make(tmp_path / "given"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("beside", ["consolidated.safetensors", "model.fp16.safetensors"])
def test_files_that_nothing_names_are_not_read(beside: str, tmp_path: Path) -> None:
    for folder in (_model(tmp_path / "one"), _sharded(tmp_path / "several")):
        _weights(folder / beside)
        clear_weights(folder)


def test_weights_of_no_numbers_name_the_training_that_left_them(tmp_path: Path) -> None:
    save_file({"w": np.zeros(0, dtype=np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(
        LayerhouseError, match=r"1 weights in .* are empty, first w: .*zero_to_fp32"
    ):
        refuse_empty(tmp_path, weight_facts(tmp_path))


def _of(path: Path, **weights: list[object]) -> Path:
    save_file({name: np.array(value, np.float32) for name, value in weights.items()}, path)
    return path


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        ({"a": [1.0], "b": [[0.0] * 2] * 2}, "its last 1 weights, from b on"),
        ({"a": [[1.0] * 2] * 2, "b": [[0.0] * 2] * 2, "c": [0.0]}, "its last 2 weights, from b on"),
        ({"a": [[0.0] * 2] * 2, "b": [0.0]}, "its last 2 weights, from a on"),
        ({"a": [[0.0] * 2] * 2, "b": [0.0, 1.0]}, None),
        ({"a": [[1.0] * 2] * 2, "b": [0.0, 0.0]}, None),
        ({"a": [1.0], "b": [[[0.0]]]}, None),
    ],
    ids=["matrix", "and bias", "all", "one that is meant", "bias", "gate"],
)
def test_a_file_that_ends_in_zeros_is_a_download_that_broke_off(
    weights: dict[str, list[object]], first: str | None, tmp_path: Path
) -> None:
    path = _of(tmp_path / "model.safetensors", **weights)
    assert weight_facts(tmp_path)
    if first is None:
        refuse_cut_off([path])
        return
    with pytest.raises(LayerhouseError, match=rf"model\.safetensors is damaged: {first}"):
        refuse_cut_off([path])


def test_files_of_two_revisions_hold_a_weight_twice(tmp_path: Path) -> None:
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    _of(one, a=[1.0], b=[2.0])
    refuse_twice([one, _of(two, b=[2.0], c=[3.0])])
    _of(two, b=[2.5], c=[3.0])
    with pytest.raises(
        LayerhouseError, match=r"1\.safetensors and 2\.safetensors both hold b, and"
    ):
        refuse_twice([one, two])
