"""A model is found by name, folder or hub id, and is what it claims to be or refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from extract.anatomy.loci import discover
from extract.models import registry
from extract.models.fingerprints import fingerprint_processor, fingerprint_weights
from extract.models.loading import foreign_processor, load
from extract.models.processors import ready_processor
from extract.models.sources import locate
from extract.models.weights import refuse_unknown_dtype
from tests.extract.conftest import FamilyFolders
from tests.extract.model_folders import edit_weights, weight_name
from tests.extract.models.asked import read_prompt
from warehouse.errors import LayerhouseError, UsageError


@pytest.fixture
def copied(llava_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llava_folder, tmp_path / "my-llava"))


PROJECTOR = "multi_modal_projector.linear_1.weight"


def test_a_folder_loads_under_its_own_name_on_the_cpu_in_full_precision(copied: Path) -> None:
    loaded = load(str(copied), device="cpu")
    assert loaded.source.name == "my-llava"
    assert loaded.source.variant == "base"
    assert loaded.model_type == "llava"
    assert not loaded.model.training
    assert loaded.dtype is torch.float32
    assert loaded.processor.tokenizer.padding_side == "left"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tiny-digit", UsageError, "did you mean tiny-digits"),
        ("lingshu-7", UsageError, "did you mean lingshu-7b"),
        ("./nowhere", LayerhouseError, "does not exist"),
        ("lingshu-7b", LayerhouseError, "hub cannot be reached"),
        ("someone/some-model", LayerhouseError, "someone/some-model is not in the local cache"),
        (
            "https://huggingface.co/someone/model",
            UsageError,
            "no folder that is there and no hub",
        ),
        ("someone/model@main", UsageError, "owner/name, without an address before or a revision"),
        ("radfm", LayerhouseError, "RadFM cannot be loaded: needs its own repository"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(
    name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        load(name)
    assert "\n" not in str(raised.value)


def test_a_folder_without_config_or_weights_is_no_model(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(LayerhouseError, match=r"is no model folder: it has no config\.json"):
        locate(str(tmp_path))
    (copied / "model.safetensors").rename(copied / "model.bin")
    with pytest.raises(LayerhouseError, match="pickled weights are not read"):
        locate(str(copied))


def test_missing_weights_are_counted_and_named(copied: Path) -> None:
    edit_weights(copied, lambda w: w.pop(weight_name(w, PROJECTOR)))
    with pytest.raises(LayerhouseError, match=r"1 missing weights, first .*linear_1\.weight"):
        load(str(copied))


def test_unexpected_weights_are_counted_and_named(copied: Path) -> None:
    edit_weights(copied, lambda w: w.update({"model.extra.weight": torch.zeros(2)}))
    with pytest.raises(LayerhouseError, match=r"1 unexpected weights, first model\.extra\.weight"):
        load(str(copied))


def test_matrices_of_zeros_are_counted_and_named(copied: Path) -> None:
    edit_weights(copied, lambda w: w[weight_name(w, "0.mlp.down_proj.weight")].zero_())
    (note,) = load(str(copied)).notes
    assert note.startswith("1 matrices of the model hold nothing but zeros, first model.language_")


def test_misshapen_weights_are_counted_and_named(copied: Path) -> None:
    edit_weights(copied, lambda w: w.update({weight_name(w, PROJECTOR): torch.zeros(3, 3)}))
    with pytest.raises(LayerhouseError, match=r"1 mismatched weights, first .*linear_1\.weight"):
        load(str(copied))


def test_a_damaged_weights_file_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes(b"damaged" * 50)
    with pytest.raises(LayerhouseError, match=r"model\.safetensors is damaged"):
        load(str(copied))


def test_code_from_a_repository_is_not_run(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "own_kind", "auto_map": {"AutoConfig": "code.OwnConfig"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "code.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(LayerhouseError, match="needs code from its own repository"):
        load(str(copied))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"model_type": "my_vlm"},
            r"is a my_vlm model, .* has no class; a newer",
        ),
        ({"model_type": "llava_llama"}, "is a llava_llama model, for which this transformers"),
        ({"model_type": None}, "says no model_type, so that its class is not known"),
        ({"model_type": "llama"}, "is a llama model, which takes no images together with text"),
        ({"model_type": "clip"}, "is a clip model, which takes no images together with text"),
        ({"model_type": "qwen2_5_vl_text"}, "is a qwen2_5_vl_text model, which takes no images"),
    ],
)
def test_a_model_that_no_class_holds_is_told_by_its_kind(
    said: dict[str, Any], message: str, copied: Path
) -> None:
    config = json.loads((copied / "config.json").read_text()) | said
    (copied / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v}))
    with pytest.raises(LayerhouseError, match=message):
        read_prompt(locate(str(copied)), "?")


@pytest.mark.parametrize(("dtype", "name"), [(torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_packed_numbers_are_no_weights_unless_config_json_says_of_what(
    dtype: torch.dtype, name: str, copied: Path
) -> None:
    def pack(weights: dict[str, torch.Tensor]) -> None:
        key = weight_name(weights, PROJECTOR)
        weights[key] = (weights[key] * 100).to(dtype)

    edit_weights(copied, pack)
    with pytest.raises(
        LayerhouseError, match=rf"1 weights in .* packed, first .*1\.weight \({name}"
    ):
        load(str(copied))


def test_attention_that_is_not_installed_is_not_asked_for(copied: Path, llava_folder: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    asked = {
        "_attn_implementation": "flash_attention_2",
        "attn_implementation": "flash_attention_2",
    }
    (copied / "config.json").write_text(json.dumps(config | asked))
    found, expected = load(str(copied)).model.config, load(str(llava_folder)).model.config
    assert found._attn_implementation == expected._attn_implementation


def test_outputs_have_names_though_config_json_asks_for_tuples(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"return_dict": False, "text_config": config["text_config"] | {"return_dict": False}}
    (copied / "config.json").write_text(json.dumps(config))
    found = load(str(copied)).model.config
    assert found.return_dict
    assert found.text_config.return_dict


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_in_another_encoding_is_named(encoding: str, copied: Path) -> None:
    path = copied / "config.json"
    path.write_text(path.read_text(), encoding=encoding)
    told = r"config\.json (cannot be read: .*utf-8|begins .*BOM)"
    with pytest.raises(LayerhouseError, match=told):
        locate(str(copied))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_read_into_the_one_that_is_asked_for(
    dtype: torch.dtype, copied: Path
) -> None:
    edit_weights(copied, lambda w: w.update({n: v.to(dtype) for n, v in w.items()}))
    config = json.loads((copied / "config.json").read_text()) | {"dtype": "float32"}
    (copied / "config.json").write_text(json.dumps(config))
    loaded = load(str(copied), dtype="float32")
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}


def test_a_head_of_its_own_counts_though_config_json_ties_it(family_folder: FamilyFolders) -> None:
    """Gemma's configuration ties head and embeddings, a training may have parted them."""
    folder = family_folder("gemma3")
    tied = load(str(folder)).model
    assert tied.get_output_embeddings().weight is tied.get_input_embeddings().weight
    parted = Path(shutil.copytree(folder, folder.parent / "parted"))
    embeddings = tied.get_input_embeddings().weight.detach()
    edit_weights(parted, lambda w: w.update({"lm_head.weight": embeddings * 0.5}))
    model = load(str(parted)).model
    assert torch.equal(model.get_input_embeddings().weight, embeddings)
    assert torch.equal(model.get_output_embeddings().weight, embeddings * 0.5)


def _snapshot(root: Path, hub: str, revision: str, model: Path) -> Path:
    """A model as the hub's cache keeps it: links to blobs."""
    repository = root / f"models--{hub.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for path in model.iterdir():
        shutil.copy(path, repository / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    return snapshot


def test_a_folder_of_the_hubs_cache_is_the_model_that_it_is(
    llava_folder: Path, tmp_path: Path
) -> None:
    revision = "0123456789" * 4
    source = locate(str(_snapshot(tmp_path, "someone/tiny", revision, llava_folder)))
    assert (source.name, source.revision) == ("someone/tiny", revision)
    known = locate(
        str(_snapshot(tmp_path, "chaoyinshe/llava-med-v1.5-mistral-7b-hf", revision, llava_folder))
    )
    assert known.name == "llava-med-v1.5"
    assert known.identity()["preprocessing"] == {"pad_to_square": "#7a7468"}


def test_a_copy_of_a_known_model_is_prepared_as_the_model_is(copied: Path) -> None:
    """By its folder's name, its family and its sizes: without the padding it sees other images."""
    config = json.loads((copied / "config.json").read_text())
    config["text_config"] |= {"num_hidden_layers": 60, "hidden_size": 7168}
    (copied / "config.json").write_text(json.dumps(config))
    assert locate(str(copied)).entry is None
    source = locate(str(copied.rename(copied.parent / "HuatuoGPT-Vision-34B-hf")))
    assert source.name == "HuatuoGPT-Vision-34B-hf"
    assert source.entry is not None
    assert (source.entry.hub, source.entry.licence) == (None, "unknown")
    assert source.identity()["preprocessing"] == {"pad_to_square": "#7a7468"}


def _unnamed(folder: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            settings = json.loads(path.read_text())
            settings.pop("processor_class", None)
            path.write_text(json.dumps(settings))


def test_a_processor_without_a_name_is_that_of_the_family(copied: Path) -> None:
    _unnamed(copied)
    assert type(load(str(copied)).processor).__name__ == "LlavaProcessor"
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "model_type": "glmga"}))
    with pytest.raises(LayerhouseError, match="names no processor class"):
        ready_processor(copied)


def test_a_key_mapping_brings_renamed_weights_home(copied: Path) -> None:
    def rename(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[name.replace("multi_modal_projector", "mm_projector")] = weights.pop(name)

    original = load(str(copied)).model.state_dict()
    edit_weights(copied, rename)
    with pytest.raises(LayerhouseError, match="missing weights"):
        load(str(copied))
    entry = dataclasses.replace(
        registry.entry_named("tiny-digits"),
        key_mapping={r"^mm_projector\.": "model.multi_modal_projector."},
    )
    source = dataclasses.replace(locate(str(copied)), entry=entry)
    mapped = load(source).model.state_dict()
    assert all(torch.equal(mapped[name], weight) for name, weight in original.items())


def test_a_trained_lora_changes_the_answer_and_keeps_the_structure(
    copied: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft", reason="adapters need the peft extra")
    base = load(str(copied))
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    model = peft.get_peft_model(base.model, config)
    tokens = torch.arange(5, 15)[None]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(tmp_path / "lora")
    adapted = load(locate(str(copied), adapter=tmp_path / "lora"))
    assert adapted.source.variant == "adapter:lora"
    assert discover(adapted.model).loci == discover(load(str(copied)).model).loci
    with torch.inference_mode():
        one = adapted.model(input_ids=tokens).logits
        other = load(str(copied)).model(input_ids=tokens).logits
    assert not torch.allclose(one, other)
    assert adapted.source.identity()["adapter"]
    assert locate(str(copied)).identity()["adapter"] is None


def test_a_folder_that_is_no_adapter_is_refused(copied: Path) -> None:
    with pytest.raises(UsageError, match="is no adapter"):
        locate(str(copied), adapter=copied)


def test_the_tokenizer_of_a_q_former_is_part_of_the_processor(copied: Path) -> None:
    without = fingerprint_processor(copied)
    inner = copied / "qformer_tokenizer"
    inner.mkdir()
    assert fingerprint_processor(copied) == without
    (inner / "vocab.txt").write_text("[UNK]\nlung\n")
    first = fingerprint_processor(copied)
    (inner / "vocab.txt").write_text("lung\n[UNK]\n")
    assert len({without, first, fingerprint_processor(copied)}) == 3


def test_fingerprints_follow_content_not_place(copied: Path, llava_folder: Path) -> None:
    assert fingerprint_weights(copied) == fingerprint_weights(llava_folder)
    assert fingerprint_processor(copied) == fingerprint_processor(llava_folder)
    edit_weights(copied, lambda w: w[weight_name(w, "lm_head.weight")].add_(1e-3))
    assert fingerprint_weights(copied) != fingerprint_weights(llava_folder)
    (copied / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint_processor(copied) != fingerprint_processor(llava_folder)
    (copied / "onnx").mkdir()
    (copied / "onnx" / "tokenizer.json").write_text("{}")
    before = fingerprint_processor(copied)
    shutil.rmtree(copied / "onnx")
    assert fingerprint_processor(copied) == before
    (copied / "README.md").write_text("words")
    before = fingerprint_processor(copied)
    (copied / "README.md").write_text("other words")
    assert fingerprint_processor(copied) == before


def test_a_pinned_entry_names_one_commit() -> None:
    entries = registry.registry().values()
    pinned = [entry for entry in entries if entry.pinned and entry.folder is None]
    assert all(re.fullmatch("[0-9a-f]{40}", entry.revision) for entry in pinned)
    assert len({entry.revision for entry in pinned}) == len(pinned) >= 18
    assert {entry.name for entry in entries if entry.paper and not entry.pinned} == {
        "shizhengpt-7b-vl",
        "shizhengpt-32b-vl",
        "hulu-med-4b",
    }


def test_every_native_entry_names_a_family_of_transformers() -> None:
    known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    entries = registry.matching_entries()
    assert {"native"} < {entry.load for entry in entries}
    for entry in entries:
        if entry.load == "native":
            assert entry.family in known, entry.name
        else:
            assert entry.reason, entry.name


def test_names_are_found_in_any_case_and_by_wildcard() -> None:
    assert registry.entry_named("Lingshu-7B").name == "lingshu-7b"
    assert registry.find("lingshu-medical-mllm/lingshu-7b") is registry.entry_named("lingshu-7b")
    assert [e.name for e in registry.matching_entries("hulu-med-*")] == [
        "hulu-med-4b",
        "hulu-med-7b",
        "hulu-med-14b",
        "hulu-med-32b",
    ]
    with pytest.raises(UsageError, match="no model matches"):
        registry.matching_entries("gpt-*")


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        (("dtype",), "torch.float16", "write float16 there"),
        (("text_config", "torch_dtype"), "torch.bfloat16", "write bfloat16 there"),
        (("vision_config", "dtype"), "auto", "write float16, bfloat16 or float32 there"),
        (("dtype",), "cuda", "write float16, bfloat16 or float32 there"),
        (("torch_dtype",), "torch.float16", None),
        (("dtype",), "half", None),
        (("quantization_config", "dtype"), "int4", None),
    ],
)
def test_a_dtype_by_another_name_is_told_or_without_effect(
    copied: Path, path: tuple[str, ...], name: str, said: str | None
) -> None:
    """Beside a dtype transformers reads no torch_dtype; quantisations have names of their own."""
    config = json.loads((copied / "config.json").read_text())
    inner = config
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    inner[path[-1]] = name
    if said is None:
        refuse_unknown_dtype(copied, config)
        return
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(LayerhouseError, match=rf"names the {path[-1]} '{name}'.*; {said}$"):
        load(str(copied))


def test_images_prepared_as_by_the_family_s_own_processor_are_not_blamed(copied: Path) -> None:
    """Most LLaVAs have CLIP's, whatever else is wrong with one."""
    loaded = load(str(copied))
    assert type(loaded.processor.image_processor).__name__.startswith("CLIP")
    assert foreign_processor(loaded) == ""


@pytest.mark.parametrize("in_shards", [False, True])
def test_a_weight_under_an_older_and_a_newer_name_is_told_unless_they_agree(
    copied: Path, in_shards: bool
) -> None:
    held = load_file(copied / "model.safetensors")
    (name,) = [key for key in held if key.endswith(PROJECTOR)]
    other = f"model.{name}" if name == PROJECTOR else PROJECTOR

    def also(factor: float) -> None:
        more = {other: held[name] * factor}
        shards = {"1.safetensors": held, "2.safetensors": more}
        if not in_shards:
            shards = {"model.safetensors": held | more}
        for file, weights in shards.items():
            save_file(weights, copied / file, metadata={"format": "pt"})
        index = {key: file for file, weights in shards.items() for key in weights}
        if in_shards:
            (copied / "model.safetensors").unlink(missing_ok=True)
            told = json.dumps({"metadata": {}, "weight_map": index})
            (copied / "model.safetensors.index.json").write_text(told)

    also(1)
    assert load(str(copied)).notes == ()
    also(0.5)
    with pytest.raises(LayerhouseError, match=r"are two names of one weight, and not the same"):
        load(str(copied))
