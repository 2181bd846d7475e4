"""An adapter fits in every key, in shape and in its base, or it is refused: all of it or none."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.models.bases import revision_note
from extract.models.loading import load
from extract.models.placement import parse_placement
from extract.models.preflight import unused_settings
from extract.models.sources import locate
from extract.models.templates import unused_template
from tests.extract.conftest import FamilyFolders
from warehouse.errors import LayerhouseError, UsageError

peft = pytest.importorskip("peft", reason="adapters need the peft extra")
TODAY, PREFIX = "model.language_model.layers", "base_model.model."
DECODER = r".*language_model.*\.(q_proj|v_proj|o_proj)"
Keys = dict[str, torch.Tensor]


@cache
def _loaded(base: Path) -> Any:
    return load(str(base)).model


def _fresh(base: Path) -> Any:
    """The model of a folder, to be changed: a copy takes a tenth of the time of loading."""
    return copy.deepcopy(_loaded(base))


def _tuned(base: Path, to: Path, **settings: Any) -> Path:
    """An adapter with random weights, written by peft as a training would."""
    torch.manual_seed(0)
    options = {"r": 4, "lora_alpha": 64, "target_modules": DECODER} | settings
    model = peft.get_peft_model(_fresh(base), peft.LoraConfig(**options))
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


def _times(factor: float) -> Callable[[Keys], Keys]:
    return lambda keys: {key: weight * factor for key, weight in keys.items()}


KINDS: dict[str, dict[str, Any]] = {
    "LoHaConfig": {"r": 4, "alpha": 8},
    "LoKrConfig": {"r": 4, "alpha": 8},
    "AdaLoraConfig": {"init_r": 4, "target_r": 2, "total_step": 10},
    "VeraConfig": {"r": 4},
    "OFTConfig": {"r": 4, "oft_block_size": 0},
    "IA3Config": {"feedforward_modules": []},
}


def _of_kind(kind: str, base: Path, to: Path, *, trained: bool) -> Path:
    torch.manual_seed(0)
    config = getattr(peft, kind)(target_modules=["q_proj"], **KINDS[kind])
    model = peft.get_peft_model(_fresh(base), config)
    for weight in model.parameters():
        if trained and weight.requires_grad:
            torch.nn.init.normal_(weight.data, 0.0, 0.02)
    model.save_pretrained(to)
    return to


@pytest.mark.parametrize("kind", list(KINDS))
def test_adapters_of_other_kinds_are_merged_or_told_to_be_untrained(
    kind: str, base: Path, tmp_path: Path
) -> None:
    trained = _of_kind(kind, base, tmp_path / "trained", trained=True)
    ours, theirs = _state(base, trained), _merged_by_peft(base, trained)
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    with pytest.raises(LayerhouseError, match=r"it changes nothing, its \d+ modules"):
        load(locate(str(base), _of_kind(kind, base, tmp_path / "fresh", trained=False)))


def test_an_adapter_whose_modules_share_all_that_was_trained_is_merged(
    base: Path, tmp_path: Path
) -> None:
    """Its keys name no module; what its patterns name is what it changes."""
    if not hasattr(peft, "UniLoraConfig"):
        pytest.skip("this peft has no UniLoRA")
    torch.manual_seed(0)
    config = peft.UniLoraConfig(target_modules=DECODER, theta_d_length=256)
    model = peft.get_peft_model(_fresh(base), config)
    model.save_pretrained(tmp_path / "shared")
    assert len(load_file(tmp_path / "shared" / "adapter_model.safetensors")) == 1
    trained = _changed(tmp_path / "shared", tmp_path / "trained", _times(10))
    ours, theirs = _state(base, trained), _merged_by_peft(base, trained)
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    zero = _changed(trained, tmp_path / "zero", _times(0))
    with pytest.raises(LayerhouseError, match=r"changes nothing, its [1-9]\d* modules"):
        load(locate(str(base), zero))


def _state(base: Path, adapter: Path) -> Keys:
    return dict(load(locate(str(base), adapter=adapter)).model.state_dict())


def _merged_by_peft(base: Path, adapter: Path) -> Keys:
    tuned = peft.PeftModel.from_pretrained(_fresh(base), adapter)
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
        {"target_modules": r".*vision_tower.*\.(q_proj|fc1)", "alpha_pattern": {"fc1": 8}},
        {"target_modules": r".*multi_modal_projector\.linear_\d"},
        {"bias": "all", "init_lora_weights": "pissa"},
        {"trainable_token_indices": {"embed_tokens": [4, 5]}},
        {"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
    ],
    ids=[
        "lora", "dora", "rslora", "head", "projector", "embeddings", "vision", "connector", "pissa",
        "tokens", "layers",
    ],
)  # fmt: skip
def test_what_fits_is_merged_as_peft_merges_it(
    settings: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    adapter = _tuned(base, tmp_path / "tuned", **settings)
    ours, theirs = _state(base, adapter), _merged_by_peft(base, adapter)
    plain = _fresh(base).state_dict()
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


def _of_a_model(_: Keys) -> Keys:
    return {"model.language_model.layers.0.self_attn.q_proj.weight": torch.ones(64, 64)}


def _in_parts(keys: Keys) -> Keys:
    return {key: torch.zeros(0) for key in keys}


def _resized(keys: Keys) -> Keys:
    return keys | {f"{PREFIX}model.language_model.embed_tokens.weight": torch.ones(300, 64)}


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
        (_untrained, "it changes nothing, its 12 modules have the weights that they had"),
        (lambda _: {}, "24 missing keys"),
        (_of_a_model, r"holds 1 whole weights and nothing of a LORA; where these are a model's"),
        (_in_parts, r"24 weights in .* are empty, first .*: .*DeepSpeed's zero_to_fp32\.py"),
        (_resized, r"1 misshapen keys, first .*embed_tokens\.weight \(300, 64\), not .*; merge it"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_counts_and_names(
    change: Callable[[Keys], Keys], message: str, adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "other", change)
    with pytest.raises(LayerhouseError, match=message) as raised:
        load(locate(str(base), adapter=other))
    assert "\n" not in str(raised.value)


def test_modules_that_are_left_as_they_were_are_told(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    def change(keys: Keys) -> Keys:
        return {k: w * 0 if "lora_B" in k and "q_proj" in k else w for k, w in keys.items()}

    source = locate(str(base), adapter=_changed(adapter, tmp_path / "half", change))
    (note,) = load(source).notes
    assert note.startswith("the adapter half leaves 4 of its 12 modules as they were, first model.")


def test_a_chat_template_beside_an_adapter_is_told(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(adapter, tmp_path / "other")
    name = "chat_template.jinja"
    shutil.copy(base / name, other / name)
    assert unused_template(other, base) == ()
    (other / name).write_text((base / name).read_text().replace("USER", "HUMAN"))
    (note,) = load(locate(str(base), adapter=other)).notes
    assert note.startswith("the adapter other lies beside a chat template (chat_template.jinja)")


def test_a_processor_beside_an_adapter_that_sees_other_pixels_is_told(
    base: Path, tmp_path: Path
) -> None:
    settings = json.loads((base / "processor_config.json").read_text())["image_processor"]
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(settings | {"do_pad": None}))
    assert unused_settings(tmp_path, base) == ()
    path.write_text(json.dumps(settings | {"size": {"height": 64, "width": 64}}))
    (note,) = unused_settings(tmp_path, base)
    assert "lies beside a processor of another size than the model's, which is not used" in note


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"alora_invocation_tokens": [5]},
            r"\(LORA: aLoRA does not support merging\) cannot be merged",
        ),
        ({"layer_replication": [[0, 4], [2, 4]]}, "cannot be merged: "),
        (
            {"target_modules": ["c_attn"]},
            "cannot be merged: Target modules .*c_attn",
        ),
        ({"lora_alpha": 0}, "it changes nothing"),
        ({"lora_alpha": None}, r"says no lora_alpha, .*would take 8 .*the one of its training"),
        ({"lora_alpha": float("nan")}, "makes weights that are no finite numbers .* 12 modules"),
        ({"lora_alpha": 1e44}, r"no finite numbers in torch\.float32, in 12 modules, first model"),
        ({"lora_alpha": "64"}, "says '64', no number, for its lora_alpha"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            r"that its beginning \(pissa_niter_4\) had changed",
        ),
        ({"init_lora_weights": "lora_ga"}, "save it with peft's path_initial_model_for_weight"),
        ({"init_lora_weights": "corda"}, "or, where the changed base was saved .* write true for"),
        ({"peft_type": None}, r"names no peft_type .* MLX .*; merge it"),
        ({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4}, r"\(PREFIX_TUNING\) cannot be"),
    ],
)
def test_settings_that_cannot_be_followed_are_one_sentence(
    settings: dict[str, Any],
    message: str,
    adapter: Path,
    base: Path,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = _changed(adapter, tmp_path / "other", **settings)
    with pytest.raises(LayerhouseError, match=message) as raised:
        load(locate(str(base), adapter=other))
    assert "\n" not in str(raised.value)
    assert not recwarn.list
    assert capsys.readouterr() == ("", "")


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


def _without_queries(keys: Keys) -> Keys:
    return {key: weight for key, weight in keys.items() if "q_proj" not in key}


@pytest.mark.parametrize(
    ("lacking", "targets", "lost"),
    [
        (_without_layer, DECODER, r"3 modules, first .*layers\.3"),
        (_without_layer, r".*\.unknown", r"3 modules, first .*layers\.3"),
        (_without_queries, DECODER, r"4 modules, first .*q_proj"),
        (_without_queries, ["q_proj", "v_proj", "o_proj"], r"4 modules, first .*q_proj"),
    ],
    ids=["layer", "layer of unclear targets", "kind", "kind in a list"],
)
def test_what_of_older_names_is_lost_is_missed(
    lacking: Callable[[Keys], Keys],
    targets: str | list[str],
    lost: str,
    adapter: Path,
    base: Path,
    tmp_path: Path,
) -> None:
    def change(keys: Keys) -> Keys:
        return _renamed(TODAY, "language_model.model.layers")(lacking(keys))

    other = _changed(adapter, tmp_path / "other", change, target_modules=targets)
    with pytest.raises(LayerhouseError, match=f"nothing is there for {lost}"):
        load(locate(str(base), adapter=other))


def test_what_older_names_leave_out_on_purpose_is_not_missed(base: Path, tmp_path: Path) -> None:
    """By names of their release, which are not those of the model today."""
    left = "layers.0.self_attn.q_proj"
    options = {"target_modules": ["q_proj", "k_proj"]}
    today = _tuned(base, tmp_path / "t", exclude_modules=rf".*vision.*|.*{left}", **options)
    older = _changed(
        today,
        tmp_path / "older",
        _renamed(TODAY, "language_model.model.layers"),
        exclude_modules=rf"^vision_tower\..*|language_model\.model\.{left}",
    )
    ours, theirs = _state(base, older), _merged_by_peft(base, today)
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


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


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("told", "revision", "note"),
    [
        ({}, COMMIT, None),
        ({"revision": None}, COMMIT, None),
        ({"revision": "main"}, COMMIT, None),
        ({"revision": COMMIT}, COMMIT, None),
        ({"revision": COMMIT[:7]}, COMMIT, None),
        ({"revision": "fedcba9"}, COMMIT, f"revision fedcba9 of its base; .*those of {COMMIT}"),
        ({"revision": "v1.1"}, COMMIT, "revision v1.1 of its base"),
        ({"revision": "v1.1"}, None, "revision v1.1 of its base; which these are is not known"),
        ({"base_model_name_or_path": f"/c/snapshots/{COMMIT}"}, COMMIT, None),
        ({"base_model_name_or_path": f"/c/snapshots/{COMMIT[::-1]}"}, COMMIT, "revision 76543210"),
    ],
)
def test_another_revision_of_the_base_is_said(
    told: dict[str, Any], revision: str | None, note: str | None
) -> None:
    found = revision_note(Path("tuned"), told, revision)
    assert (found is None) if note is None else re.search(f"the adapter tuned .*{note}", str(found))


def test_a_recorded_revision_reaches_whoever_runs_the_model(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    other = _changed(
        adapter, tmp_path / "other", base_model_name_or_path="someone/base", revision="v2"
    )
    source = locate(str(base), adapter=other)
    assert "was made for revision v2 of its base" in str(source.adapter_note)


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
        ('{"peft_type": "MAGIC"}', r"'MAGIC', which peft [\d.]+ has not; a newer one may, else"),
        ('{"peft_type": "UniLoRA"}', r"'UniLoRA', which peft [\d.]+ has not; write UNILORA$"),
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


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["lm_head"]},
        {"target_modules": ["lm_head"], "init_lora_weights": "pissa"},
        {"target_modules": ["lm_head"], "init_lora_weights": "olora"},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [6, 7]},
    ],
    ids=["head", "pissa", "olora", "embeddings", "both", "tied", "whole", "tokens"],
)
def test_weights_that_head_and_embeddings_share_are_changed_as_in_training(
    settings: dict[str, Any], family_folder: FamilyFolders, tmp_path: Path
) -> None:
    """Held against the adapter that runs unmerged: into shared weights peft merges wrongly."""
    if "ensure_weight_tying" not in peft.LoraConfig.__dataclass_fields__:
        settings = {name: said for name, said in settings.items() if name != "ensure_weight_tying"}
    folder = family_folder("gemma3")
    base = load(str(folder)).model
    assert base.get_output_embeddings().weight is base.get_input_embeddings().weight
    tokens = torch.arange(5, 15)[None]
    with torch.inference_mode():
        untuned = base(input_ids=tokens).logits
    torch.manual_seed(0)
    tuned = peft.get_peft_model(base, peft.LoraConfig(r=2, **settings))
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data += torch.randn_like(weight) * 0.1
    tuned.save_pretrained(tmp_path / "tuned")
    merged = load(locate(str(folder), adapter=tmp_path / "tuned")).model
    with torch.inference_mode():
        expected = tuned.eval()(input_ids=tokens).logits
        found = merged(input_ids=tokens).logits
    assert (expected - untuned).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
