"""Weights in eight or four bits, and spread over several devices, through the ordinary agent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract.datasets import add
from extract.models.loading import load
from extract.models.placement import Placement, parse_placement
from extract.models.sources import locate
from extract.running.extraction import ExtractRequest, extract
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

LIMIT = 2


def _vectors(lake: Lake, model_id: str) -> dict[tuple[Any, ...], np.ndarray[Any, Any]]:
    query = "SELECT module, layer, readout, sample_id, vector FROM activation WHERE model_id = $1"
    with tables(lake) as wh:
        rows = wh.sql(query, [model_id]).fetchall()
    return {tuple(row[:4]): np.array(row[4]) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "kind"), [("8bit", "Linear8bitLt"), ("4bit", "Linear4bit")])
def test_quantised_weights_are_a_variant_of_the_model(
    bits: str, kind: str, lake: Lake, llava_folder: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="quantised weights need the quantization extra")
    whole = extract(
        lake, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4, limit=LIMIT)
    )
    packed = extract(
        lake,
        ExtractRequest(
            str(llava_folder), "pictures", max_new_tokens=4, limit=LIMIT, quantization=bits
        ),
    )
    assert packed.model_id == f"llava+quantization:{bits}"
    assert packed.n_vectors == whole.n_vectors
    with tables(lake) as wh:
        models = wh.sql("SELECT variant, n_parameters FROM model ORDER BY variant").fetchall()
    assert [variant for variant, _ in models] == ["base", f"quantization:{bits}"]
    assert models[0][1] == models[1][1]  # two 4-bit weights in one byte are still two
    one, other = _vectors(lake, "llava"), _vectors(lake, packed.model_id)
    assert one.keys() == other.keys()
    norms = [np.linalg.norm(v - other[key]) / np.linalg.norm(v) for key, v in one.items()]
    assert 0 < float(np.median(norms)) < 0.5, "close to the whole weights, but not them"
    model = load(locate(str(llava_folder), placement=Placement(bits))).model
    assert kind in {type(module).__name__ for module in model.modules()}


@pytest.mark.slow
def test_weights_on_cpu_and_disk_give_the_same_numbers(
    lake: Lake, llava_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="device maps need the device-map extra")
    decoder = "model.language_model"
    parts = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
    parts += [f"{decoder}.{name}" for name in ("embed_tokens", "norm", "rotary_emb")]
    places = dict.fromkeys(parts + [f"{decoder}.layers.{layer}" for layer in range(4)], "cpu")
    places[f"{decoder}.layers.1"] = places["model.multi_modal_projector"] = "disk"
    path = tmp_path / "places.json"
    path.write_text(json.dumps(places))
    request = ExtractRequest(
        str(llava_folder), "pictures", max_new_tokens=4, limit=LIMIT, device_map=path
    )
    spread = load(locate(str(llava_folder), placement=parse_placement(None, path)))
    layers = spread.model.model.language_model.layers
    assert layers[1].mlp.up_proj.weight.is_meta
    assert not layers[2].mlp.up_proj.weight.is_meta
    summary = extract(lake, request)
    assert summary.model_id == "llava"  # where weights lie changes no number
    found = _vectors(lake, "llava")
    other = Lake.at(tmp_path / "other")
    add(other, "pictures", pictures)
    extract(other, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4, limit=LIMIT))
    expected = _vectors(other, "llava")
    assert found.keys() == expected.keys()
    for key, vector in expected.items():
        np.testing.assert_allclose(found[key], vector, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_strategy_of_accelerate_is_passed_on(llava_folder: Path) -> None:
    pytest.importorskip("accelerate", reason="device maps need the device-map extra")
    loaded = load(locate(str(llava_folder), placement=parse_placement(None, "auto")), device="cpu")
    assert loaded.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert not any(weight.is_meta for weight in loaded.model.parameters())


@pytest.mark.parametrize(
    ("quantization", "device_map", "message"),
    [
        ("4bits", None, "unknown quantization '4bits'; did you mean 4bit"),
        (None, "atuo", "unknown device map 'atuo'; did you mean auto"),
    ],
)
def test_unknown_placements_are_named(
    quantization: str | None, device_map: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parse_placement(quantization, device_map)


@pytest.mark.parametrize("text", ["[1, 2]", "not json", '{"": null}'])
def test_a_file_that_is_no_device_map_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no device map: it needs a JSON object"):
        parse_placement(None, path)


@pytest.mark.parametrize(
    ("package", "asked", "extra"),
    [
        ("bitsandbytes", ("8bit", None), "quantization"),
        ("accelerate", (None, "auto"), "device-map"),
    ],
)
def test_a_missing_package_ends_with_the_command_that_installs_it(
    package: str,
    asked: tuple[str | None, str | None],
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LayerhouseError, match=rf"pip install 'layerhouse\[{extra}\]'$"):
        parse_placement(*asked)


def test_an_adapter_on_quantised_weights_is_refused(llava_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="leave out --adapter or --quantization"):
        locate(str(llava_folder), tmp_path, placement=Placement("4bit"))
