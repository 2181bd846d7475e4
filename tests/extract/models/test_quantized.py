"""Weights that were quantised before they were published run as such, and nothing is merged in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from extract.models.given import GivenModel
from extract.models.loading import load
from extract.models.placement import Placement
from extract.models.sources import locate
from warehouse.errors import LayerhouseError, UsageError

METHODS: dict[str, dict[str, Any]] = {
    "awq": {"bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "gptq": {"bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "fp8": {"activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "compressed-tensors": {"format": "pack-quantized", "config_groups": {}},
    "hqq": {"quant_config": {"weight_quant_params": {"nbits": 4}}},
    "aqlm": {"in_group_size": 8},
}


def _said(folder: Path, settings: Any, place: str = "quantization_config") -> Path:
    config = json.loads((folder / "config.json").read_text()) | {place: settings}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(locate("tiny-digits").folder, tmp_path / "model"))


@pytest.mark.parametrize("method", list(METHODS))
def test_a_method_is_the_variant_and_a_missing_package_is_named(method: str, copied: Path) -> None:
    source = locate(str(_said(copied, {"quant_method": method, **METHODS[method]})))
    assert source.variant == f"quantization:{method}"
    with pytest.raises(LayerhouseError) as raised:
        load(source)
    said = str(raised.value)
    assert "\n" not in said
    ways = ("a package is missing", "none in its files is", "cannot be loaded")
    assert any(way in said for way in ways), said
    assert method in said


def test_weights_that_are_not_as_config_json_says_are_refused(copied: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantised weights need the quantization extra")
    source = locate(str(_said(copied, {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"})))
    assert source.variant == "quantization:bitsandbytes"
    with pytest.raises(LayerhouseError, match=r"\(bitsandbytes\), but none in its files is"):
        load(source)


def test_settings_beside_config_json_are_named(copied: Path) -> None:
    (copied / "quantize_config.json").write_text('{"bits": 4}')
    with pytest.raises(LayerhouseError, match=r"says so in quantize_config\.json only"):
        load(str(copied))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 4-bit weights, as people publish them."""
    pytest.importorskip("bitsandbytes", reason="quantised weights need the quantization extra")
    folder = tmp_path_factory.mktemp("packed") / "model-bnb-4bit"
    whole = locate("tiny-digits").folder
    shutil.copytree(whole, folder)
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    loader: Any = transformers.AutoModelForImageTextToText
    model = loader.from_pretrained(
        whole, quantization_config=settings, device_map={"": "cpu"}, dtype=torch.float32
    )
    model.save_pretrained(folder)
    return folder


def test_packed_weights_run_as_what_they_are(packed: Path) -> None:
    source = locate(str(packed))
    loaded = load(source, dtype="float32")
    assert source.variant == "quantization:bitsandbytes"
    kinds = {type(module).__name__ for module in loaded.model.modules()}
    assert "Linear4bit" in kinds
    products = {m.compute_dtype for m in loaded.model.modules() if hasattr(m, "compute_dtype")}
    assert products == {torch.float32}, "the dtype that is told is that of the products too"
    assert loaded.dtype is torch.float32
    given = GivenModel("mine", loaded.model, loaded.processor)
    assert given.variant == "quantization:bitsandbytes"
    seeded = locate(str(packed), random_seed=1)
    assert seeded.variant == "random:1", "untrained weights are drawn whole"
    with pytest.raises(UsageError, match=r"quantised already \(bitsandbytes\)"):
        locate(str(packed), placement=Placement("8bit"))


def test_nothing_is_merged_into_packed_weights(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="give the adapter's base in full precision"):
        locate(str(packed), tmp_path)


Pack = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def _in_blocks_of_fp8(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, columns = weight.shape
    blocks = weight.reshape(rows // 32, 32, columns // 32, 32)
    scale = blocks.abs().amax(dim=(1, 3)) / 448
    packed = (blocks / scale[:, None, :, None]).reshape(rows, columns)
    return {"weight": packed.to(torch.float8_e4m3fn), "weight_scale_inv": scale}


def _in_int8(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    return {"weight": (weight / scale).round().to(torch.int8), "weight_scale": scale}


def _in_int4(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // 32, 32)
    scale = groups.abs().amax(dim=2, keepdim=True) / 7
    values = (groups / scale).round().reshape(rows, columns).long() + 8
    shifts = 4 * torch.arange(8)  # eight values lie in 32 bits, the first in the lowest
    words = (values.reshape(rows, columns // 8, 8) << shifts).sum(-1)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    shape = torch.tensor([rows, columns])
    return {"weight_packed": words, "weight_scale": scale[..., 0], "weight_shape": shape}


INTEGERS = {"type": "int", "symmetric": True}
PER_TOKEN = INTEGERS | {"num_bits": 8, "strategy": "token", "dynamic": True}


def _compressed(format: str, activations: dict[str, Any] | None, **weights: Any) -> dict[str, Any]:
    """As llm-compressor writes it: the vision tower and the head are left whole."""
    group = {"targets": ["Linear"], "weights": INTEGERS | weights, "input_activations": activations}
    return {
        "quant_method": "compressed-tensors",
        "format": format,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["re:.*lm_head", "re:.*vision_tower.*", "re:.*multi_modal_projector.*"],
    }


PUBLISHED: dict[str, tuple[Pack, dict[str, Any], float]] = {
    "fp8": (
        _in_blocks_of_fp8,
        {
            "quant_method": "fp8",
            "activation_scheme": "dynamic",
            "weight_block_size": [32, 32],
            "modules_to_not_convert": ["vision_tower", "multi_modal_projector", "lm_head"],
        },
        1 / 16,
    ),
    "w8a8": (
        _in_int8,
        _compressed("int-quantized", PER_TOKEN, num_bits=8, strategy="channel"),
        1 / 127,
    ),
    "w4a16": (
        _in_int4,
        _compressed("pack-quantized", None, num_bits=4, strategy="group", group_size=32),
        1 / 7,
    ),
}
"""How a weight is packed, what config.json says, the largest error over the largest weight."""


@pytest.mark.parametrize("kind", list(PUBLISHED))
def test_published_weights_of_few_bits_are_read_as_their_numbers(kind: str, copied: Path) -> None:
    pack, settings, error = PUBLISHED[kind]
    weights = load_file(copied / "model.safetensors")
    few = [name for name in weights if "language_model" in name and "proj.weight" in name]
    assert len(few) == 28
    packed = {name: weight for name, weight in weights.items() if name not in few}
    for name in few:
        stem = name.removesuffix("weight")
        packed |= {stem + part: values for part, values in pack(weights[name].float()).items()}
    save_file(packed, copied / "model.safetensors", {"format": "pt"})
    loaded = load(str(_said(copied, settings)), dtype="float32")
    assert loaded.source.variant == f"quantization:{settings['quant_method']}"
    assert loaded.dtype is torch.float32
    unpacked = load("tiny-digits")
    assert loaded.n_parameters == unpacked.n_parameters
    whole = unpacked.model.state_dict()
    read = loaded.model.state_dict()
    for name, weight in whole.items():
        limit = error * weight.abs().max() if "language_model" in name and "proj" in name else 0
        off = (read[name].float() - weight).abs().max()
        assert off <= limit, name
        assert limit == 0 or off > 0, f"{name} was never packed"
