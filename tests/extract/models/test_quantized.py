"""Weights that were quantised before they were published run as such, and nothing is merged in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

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
