"""An adapter fits in every key, in shape and in its base, or it is refused: all of it or none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.models.loading import load
from extract.models.placement import parse_placement
from extract.models.sources import locate
from tests.extract.conftest import FamilyFolders
from warehouse.errors import LayerhouseError, UsageError

peft = pytest.importorskip("peft", reason="adapters need the peft extra")
TODAY, PREFIX = "model.language_model.layers", "base_model.model."
DECODER = r".*language_model.*\.(q_proj|v_proj|o_proj)"
Keys = dict[str, torch.Tensor]


def _tuned(base: Path, to: Path, **settings: Any) -> Path:
    """An adapter with random weights, written by peft as a training would."""
    torch.manual_seed(0)
    options = {"r": 4, "lora_alpha": 64, "target_modules": DECODER} | settings
    model = peft.get_peft_model(load(str(base)).model, peft.LoraConfig(**options))
    for name, weight in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight.data, 0.5 if "magnitude" in name else 0.0, 0.3)
    model.save_pretrained(to)
    return to


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = locate("tiny-digits").folder
    return Path(shutil.copytree(whole, tmp_path_factory.mktemp("base") / "base"))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tuned(base, tmp_path_factory.mktemp("adapter") / "tuned")


def _changed(
    adapter: Path, to: Path, change: Callable[[Keys], Keys] = dict, **settings: Any
) -> Path:
    shutil.copytree(adapter, to)
    save_file(
        change(load_file(adapter / "adapter_model.safetensors")), to / "adapter_model.safetensors"
    )
    config = json.loads((to / "adapter_config.json").read_text()) | settings
    (to / "adapter_config.json").write_text(json.dumps(config))
    return to


def _renamed(old: str, new: str) -> Callable[[Keys], Keys]:
    return lambda keys: {key.replace(old, new): weight for key, weight in keys.items()}


def _state(base: Path, adapter: Path) -> Keys:
    return dict(load(locate(str(base), adapter=adapter)).model.state_dict())


def _merged_by_peft(base: Path, adapter: Path) -> Keys:
    tuned = peft.PeftModel.from_pretrained(load(str(base)).model, adapter)
    return dict(tuned.merge_and_unload().state_dict())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_dora": True},
        {"use_rslora": True},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["multi_modal_projector"], "rank_pattern": {"q_proj": 2}},
        {"target_modules": ["embed_tokens", "q_proj", "fc1"]},
    ],
    ids=["lora", "dora", "rslora", "head", "projector", "embeddings"],
)
def test_what_fits_is_merged_as_peft_merges_it(
    settings: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    adapter = _tuned(base, tmp_path / "tuned", **settings)
    ours, theirs = _state(base, adapter), _merged_by_peft(base, adapter)
    plain = load(str(base)).model.state_dict()
    assert ours.keys() == plain.keys()
    assert any(not torch.equal(ours[name], weight) for name, weight in plain.items())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


@pytest.mark.parametrize(
    ("older", "targets"),
    [
        ("language_model.model.layers", DECODER),
        ("model.language_model.model.layers", DECODER),
        ("language_model.model.layers", r"^language_model\..*\.(q_proj|v_proj|o_proj)"),
    ],
)
def test_names_of_older_releases_are_mapped(
    older: str, targets: str, adapter: Path, base: Path, tmp_path: Path
) -> None:
    old = _changed(adapter, tmp_path / "old", _renamed(TODAY, older), target_modules=targets)
    source = locate(str(base), adapter=old)
    loaded = load(source)
    expected = _state(base, adapter)
    assert all(torch.equal(w, expected[name]) for name, w in loaded.model.state_dict().items())
    assert any("24 keys of the adapter old have names of an older" in note for note in loaded.notes)


def _without_layer(keys: Keys) -> Keys:
    return {key: weight for key, weight in keys.items() if "layers.3." not in key}


def _narrow(keys: Keys) -> Keys:
    return {key: w[:, :-1].clone() if "lora_A" in key else w for key, w in keys.items()}


def _not_finite(keys: Keys) -> Keys:
    return {key: torch.full_like(weight, torch.nan) for key, weight in keys.items()}


def _untrained(keys: Keys) -> Keys:
    return {key: w * 0 if "lora_B" in key else w for key, w in keys.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _renamed(TODAY, "model.layers"),
            r"does not fit: 24 missing keys, first model\.language_model\.layers\.0\.self_attn"
            r".*; 24 unexpected keys, first model\.layers\.0",
        ),
        (_renamed("q_proj", "qkv"), r"8 missing keys, first .*q_proj.*; 8 unexpected keys"),
        (_without_layer, r"6 missing keys, first model\.language_model\.layers\.3\.self_attn"),
        (_narrow, r"12 misshapen keys, first .*lora_A\.weight \(4, 63\), not \(4, 64\)"),
        (_not_finite, "not finite in 24 keys"),
        (_untrained, "it changes nothing, every lora_B is zero"),
        (lambda _: {}, "24 missing keys"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_counts_and_names(
    change: Callable[[Keys], Keys], message: str, adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "other", change)
    with pytest.raises(LayerhouseError, match=message) as raised:
        load(locate(str(base), adapter=other))
    assert "\n" not in str(raised.value)


def test_nothing_is_merged_into_weights_that_a_device_map_leaves_on_disk(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="device maps need the device-map extra")
    places = {"model.vision_tower": "cpu", "model.multi_modal_projector": "cpu", "lm_head": "cpu"}
    for decoder in ("cpu", "disk"):
        path = tmp_path / "places.json"
        path.write_text(json.dumps(places | {"model.language_model": decoder}))
        source = locate(str(base), adapter=adapter, placement=parse_placement(None, path))
        if decoder == "cpu":
            merged, expected = load(source).model.state_dict(), _state(base, adapter)
            assert all(torch.equal(merged[name], weight) for name, weight in expected.items())
            continue
        with pytest.raises(LayerhouseError, match="changes 12 modules that the device map leaves"):
            load(source)


def test_part_of_a_layer_of_older_names_is_missed(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    def change(keys: Keys) -> Keys:
        return _renamed(TODAY, "language_model.model.layers")(_without_layer(keys))

    other = _changed(adapter, tmp_path / "other", change)
    with pytest.raises(LayerhouseError, match=r"nothing is there for 3 modules, first .*layers\.3"):
        load(locate(str(base), adapter=other))


@pytest.mark.parametrize(
    ("recorded", "error"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "was made for Qwen/Qwen2.5-VL-7B-Instruct, not for base"),
        ("someone/base-instruct", "write the name into base_model_name_or_path"),
        ("someone/Base", None),
        ("unsloth/base-unsloth-bnb-4bit", None),
        ("/root/.cache/huggingface/hub/models--someone--base/snapshots/0123", None),
    ],
)
def test_the_recorded_base_must_be_the_model(
    recorded: str, error: str | None, adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "other", base_model_name_or_path=recorded)
    if error is None:
        assert locate(str(base), adapter=other).adapter_note is None
        return
    with pytest.raises(UsageError, match=error):
        locate(str(base), adapter=other)


def test_a_base_on_this_machine_is_told_by_its_weights(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(base, tmp_path / "copied-elsewhere"))
    assert locate(str(copy), adapter=adapter).adapter_note is None
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if name.endswith("lm_head.weight"))
    weights[name] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="whose weights are not those of"):
        locate(str(copy), adapter=adapter)


def test_a_base_that_is_nowhere_is_told_as_not_certain(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "o", base_model_name_or_path="/scratch/qwen")
    assert "records /scratch/qwen as its base" in str(locate(str(base), adapter=other).adapter_note)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "holds a JSON list"),
        ('{"peft_type": "MAGIC"}', "cannot be merged: .*MAGIC"),
        (
            '{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}',
            r"\(PROMPT_TUNING\) cannot be merged into weights",
        ),
    ],
)
def test_a_config_that_is_no_lora_is_one_sentence(
    config: str, message: str, adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "other")
    (other / "adapter_config.json").write_text(config)
    with pytest.raises(LayerhouseError, match=message) as raised:
        load(locate(str(base), adapter=other))
    assert "\n" not in str(raised.value)


def test_an_adapter_given_as_the_model_names_its_base(adapter: Path, base: Path) -> None:
    with pytest.raises(LayerhouseError, match=f"give {base} as --model and this folder as"):
        locate(str(adapter))


def test_a_tuned_head_leaves_the_embeddings_that_it_shared_as_they_were(
    family_folder: FamilyFolders, tmp_path: Path
) -> None:
    """Merged into shared weights it would change what the model reads, too."""
    folder = family_folder("gemma3")
    base = load(str(folder)).model
    assert base.get_output_embeddings().weight is base.get_input_embeddings().weight
    torch.manual_seed(0)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["lm_head"]))
    for name, weight in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight.data)
    tuned.save_pretrained(tmp_path / "tuned")
    merged = load(locate(str(folder), adapter=tmp_path / "tuned")).model
    tokens = torch.arange(5, 15)[None]
    with torch.inference_mode():
        expected = tuned.eval()(input_ids=tokens).logits
        found = merged(input_ids=tokens).logits
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
