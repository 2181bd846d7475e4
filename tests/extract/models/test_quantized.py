"""Weights that were quantised before they were published run as such, and nothing is merged in."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from extract.anatomy import discover
from extract.models import quantized
from extract.models.given import GivenModel
from extract.models.loading import load
from extract.models.placement import Placement
from extract.models.quantized import count_weights, everywhere, refuse_unreadable
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

SAID = {
    "awq": "for which gptqmodel is missing; install with: pip install gptqmodel",
    "gptq": "for which gptqmodel and optimum are missing; install with: pip install gptqmodel",
    "fp8": "but none in its files is",
    "compressed-tensors": "but none in its files is",
    "hqq": "for which a package is missing: A valid HQQ version",
    "aqlm": "for which a package is missing: Using `aqlm` quantization requires AQLM: `pip install",
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
    assert f"quantised ({method}), {SAID[method]}" in said


def test_plain_weights_are_no_variant_of_a_method_without_marks_of_its_own(copied: Path) -> None:
    """transformers reads them, since mxfp4 packs nothing but experts, and this model has none."""
    with pytest.raises(
        LayerhouseError, match=r"quantised \(mxfp4\), but none in its files is; take"
    ):
        load(locate(str(_said(copied, {"quant_method": "mxfp4"}))))


def test_a_quantisation_that_is_no_object_is_named(copied: Path) -> None:
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": "awq"}))
    with pytest.raises(
        LayerhouseError, match=r"says 'awq' for its quantization_config, which is no"
    ):
        load(locate(str(copied)))


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


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"quantization_config": {"quant_method": "exl2", "bits": 4}},
            r"quantised \(exl2\), which",
        ),
        ({"quantization_config": {"bits": 4}}, r"quantised \(unknown\), which this transformers"),
        ({"quantization": {"group_size": 64, "bits": 4}}, r"quantised \(mlx\), which this"),
    ],
)
def test_a_method_that_nobody_reads_is_not_run_as_whole_weights(
    said: dict[str, Any], message: str, copied: Path
) -> None:
    config = json.loads((copied / "config.json").read_text()) | said
    with pytest.raises(LayerhouseError, match=message):
        refuse_unreadable("m", config)
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(LayerhouseError, match=message):
        load(str(copied))


@pytest.mark.parametrize(
    ("method", "there", "message"),
    [
        ("awq", (), "for which gptqmodel is missing; install with: pip install gptqmodel"),
        ("gptq", (), "for which gptqmodel and optimum are missing; install with: pip install gpt"),
        ("gptq", ("optimum",), "for which gptqmodel is missing; install with: pip install gptqmod"),
    ],
)
def test_the_packages_of_a_method_are_named_all_at_once(
    method: str, there: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda name: name in there or None)
    with pytest.raises(LayerhouseError, match=message):
        refuse_unreadable("m", {"quantization_config": {"quant_method": method}})


@pytest.mark.parametrize("settings", ["modules_to_not_convert", "llm_int8_skip_modules"])
@pytest.mark.parametrize(
    ("module", "whole"),
    [
        ("model.visual.blocks.0.attn.qkv", True),
        ("visual.blocks.0.attn.qkv", True),
        ("model.language_model.layers.1.mlp.gate_proj", False),
        ("model.language_model.layers.1.mlp.gate", True),
        ("lm_head", True),
        ("model.visuals.blocks.0", False),
    ],
)
def test_modules_left_whole_are_found_under_the_names_of_today(
    settings: str, module: str, whole: bool
) -> None:
    from transformers.quantizers.quantizers_utils import should_convert_module

    told = everywhere({settings: ["visual", "mlp.gate", "lm_head"], "bits": 4})
    assert told["bits"] == 4
    assert should_convert_module(module, told[settings]) is not whole


def test_layers_that_the_files_hold_whole_are_not_packed_on_the_way(
    packed: Path, tmp_path: Path
) -> None:
    """As with a folder whose settings name what is left whole by names of an older release."""
    folder = Path(shutil.copytree(packed, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    stem = next(n for n in weights if n.endswith("layers.0.self_attn.q_proj.weight"))
    whole = load("tiny-digits").model.state_dict()
    name = next(n for n in whole if n.endswith("language_model.layers.0.self_attn.q_proj.weight"))
    kept = {n: w for n, w in weights.items() if not n.startswith(stem)} | {stem: whole[name]}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(LayerhouseError, match=r"packed weights, but config\.json has \d+ layers"):
        load(str(folder))


class Packed(torch.nn.Module):
    """A layer as gptqmodel has them: no parameter, its weight in words of 32 bits."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.register_buffer("qweight", torch.zeros(inputs, outputs // 8, dtype=torch.int32))


def test_packed_layers_of_other_libraries_are_found_and_counted() -> None:
    whole = load("tiny-digits")
    packed, expected = copy.deepcopy(whole.model), discover(whole.model)
    for name, module in whole.model.named_modules():
        if "language_model" in name and isinstance(module, torch.nn.Linear):
            packed.set_submodule(name, Packed(module.in_features, module.out_features))
    assert packed.num_parameters() < whole.n_parameters
    assert count_weights(packed) == whole.n_parameters
    assert discover(packed).loci == expected.loci


def _in_words(values: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Numbers of four bits [rows, columns] as words of 32 [rows, columns / 8]."""
    rows = values.reshape(values.shape[0], -1, 8)[:, :, order]
    words = (rows << (4 * torch.arange(8))).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def _by_groups(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What four bits make of a weight [outputs, inputs], scales [outputs, groups], numbers read."""
    groups = weight.reshape(weight.shape[0], -1, 32)
    scale = (groups.abs().amax(-1, keepdim=True) / 7).half().float()
    values = ((groups / scale).round() + 8).clamp(0, 15)
    return (
        values.reshape(weight.shape).long(),
        scale[..., 0],
        ((values - 8) * scale).reshape(weight.shape),
    )


def _awq(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    values, scale, _ = _by_groups(weight)
    zeros, order = torch.full_like(scale, 8).long(), (0, 2, 4, 6, 1, 3, 5, 7)
    return {
        "qweight": _in_words(values.t(), order),
        "qzeros": _in_words(zeros.t(), order),
        "scales": scale.t().half().contiguous(),
    }


def _gptq(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    values, scale, _ = _by_groups(weight)
    zeros = torch.full_like(scale, 7).long()  # this format stores one less
    return {
        "qweight": _in_words(values, tuple(range(8))).t().contiguous(),
        "qzeros": _in_words(zeros.t(), tuple(range(8))),
        "scales": scale.t().half().contiguous(),
        "g_idx": torch.arange(weight.shape[1], dtype=torch.int32) // 32,
    }


FOUR_BITS: dict[str, tuple[Pack, dict[str, Any]]] = {
    "awq": (
        _awq,
        {
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": ["vision_tower", "multi_modal_projector"],
        },
    ),
    "gptq": (_gptq, {"desc_act": False, "sym": True, "checkpoint_format": "gptq"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", list(FOUR_BITS))
def test_awq_and_gptq_are_read_as_their_numbers(method: str, copied: Path) -> None:
    pytest.importorskip("gptqmodel", reason="awq and gptq need gptqmodel")
    pack, settings = FOUR_BITS[method]
    weights = load_file(copied / "model.safetensors")
    few = [name for name in weights if "language_model" in name and "proj.weight" in name]
    held = {name: weight for name, weight in weights.items() if name not in few}
    for name in few:
        stem = name.removesuffix("weight")
        held |= {stem + part: values for part, values in pack(weights[name].float()).items()}
    save_file(held, copied / "model.safetensors", {"format": "pt"})
    said = {"quant_method": method, "bits": 4, "group_size": 32, **settings}
    loaded = load(str(_said(copied, said)), dtype="float32")
    whole = load("tiny-digits")
    assert loaded.n_parameters == whole.n_parameters
    read = 0
    for name, weight in whole.model.state_dict().items():
        if "language_model" not in name or not name.endswith("proj.weight"):
            continue
        expected = _by_groups(weight.float())[2]
        layer = loaded.model.get_submodule(name.removesuffix(".weight"))
        with torch.inference_mode():
            found = layer(torch.eye(weight.shape[1])[None])[0].t()
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)  # in half precision
        read += 1
    assert read == len(few)
