"""What a family needs and a folder lacks is repaired where config.json tells, else one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from extract.models import preflight
from extract.models.loading import load
from extract.models.preflight import read_tokenizer
from extract.models.processors import Encoder, ready_processor
from extract.models.sources import locate
from tests.extract.conftest import FamilyFolders
from tests.extract.models.asked import read_prompt
from tests.extract.tiny_families import picture
from warehouse.errors import LayerhouseError

ASKED = "Is it benign?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(locate("tiny-digits").folder, tmp_path / "model"))


def _edit(path: Path, **changes: Any) -> None:
    found = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: v for name, v in found.items() if v is not None}))


def _inputs(folder: Path) -> dict[str, Any]:
    loaded = load(str(folder))
    prompt = read_prompt(locate(str(folder)), ASKED)
    return Encoder(loaded.processor, prompt.text)([picture(40, 40), picture(60, 30)])


def _without_padding(folder: Path) -> None:
    _edit(folder / "tokenizer_config.json", pad_token=None)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "padding": None}))


def _add_tokens(folder: Path, *tokens: str) -> None:
    """Adds tokens behind the 333 that are there."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer["added_tokens"] += [
        {**plain, "id": number, "content": token, "special": True}
        for number, token in enumerate(tokens, start=333)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def test_a_padding_token_is_that_of_config_json(folder: Path) -> None:
    expected = _inputs(folder)
    _without_padding(folder)
    loaded = load(str(folder))
    assert loaded.processor.tokenizer.pad_token == "<pad>"
    assert "the tokenizer has no padding token: <pad> pads, behind the mask" in loaded.notes
    assert torch.equal(_inputs(folder)["input_ids"], expected["input_ids"])


def test_without_one_anywhere_the_last_token_pads(folder: Path) -> None:
    _without_padding(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["pad_token_id"] = None
    (folder / "config.json").write_text(json.dumps(config))
    assert load(str(folder)).processor.tokenizer.pad_token == "</s>"


@pytest.mark.parametrize(
    "lacking",
    [
        ("patch_size",),
        ("vision_feature_select_strategy",),
        ("num_additional_image_tokens",),
        ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens"),
    ],
)
def test_settings_of_the_processor_are_taken_from_the_model(
    lacking: tuple[str, ...], folder: Path
) -> None:
    expected = _inputs(folder)
    _edit(folder / "processor_config.json", **dict.fromkeys(lacking))
    found = _inputs(folder)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    (note,) = load(str(folder)).notes
    assert note.startswith("the processor lacks ")
    assert all(name in note for name in lacking)


def test_of_two_files_that_prepare_images_the_one_that_counts_is_told(folder: Path) -> None:
    expected = _inputs(folder)["pixel_values"]
    told = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    older = folder / "preprocessor_config.json"
    older.write_text(json.dumps(told | {"crop_size": 224}))
    assert load(str(folder)).notes == ()
    older.write_text(json.dumps(told | {"size": 16, "image_mean": [0.5, 0.5, 0.5]}))
    (note,) = load(str(folder)).notes
    assert note.startswith("processor_config.json counts, not preprocessor_config.json, which has")
    assert "another image_mean, size:" in note
    assert torch.equal(_inputs(folder)["pixel_values"], expected)


def test_padding_is_a_token_of_the_model(folder: Path) -> None:
    """As where [PAD] was added to a tokenizer, and no row for it to the embeddings."""
    expected = _inputs(folder)
    _add_tokens(folder, "[A]", "[B]", "[C]", "[PAD]")  # the model has 336 rows, these go to 336
    _edit(folder / "tokenizer_config.json", pad_token="[PAD]")
    loaded = load(str(folder))
    assert loaded.processor.tokenizer.pad_token == "<pad>"
    assert loaded.notes == (
        "the padding token [PAD] has no row in the model: <pad> pads, behind the mask",
    )
    assert torch.equal(_inputs(folder)["input_ids"], expected["input_ids"])


def test_padding_does_not_look_like_an_image(folder: Path) -> None:
    _without_padding(folder)
    _edit(folder / "tokenizer_config.json", pad_token="<image>")
    assert load(str(folder)).processor.tokenizer.pad_token == "<pad>"


@pytest.mark.parametrize(
    ("name", "value"), [("patch_size", 4), ("vision_feature_select_strategy", "full")]
)
def test_settings_that_contradict_the_models_are_named(name: str, value: Any, folder: Path) -> None:
    _edit(folder / "processor_config.json", **{name: value})
    with pytest.raises(LayerhouseError, match=rf"the processor's {name} is {value}, that of"):
        read_prompt(locate(str(folder)), ASKED)


def test_a_prompt_is_read_whole_whatever_the_tokenizer_was_made_with(
    folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    expected = _inputs(folder)["input_ids"]
    _edit(folder / "tokenizer_config.json", model_max_length=8, max_length=8, truncation=True)
    limits = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    _edit(folder / "tokenizer.json", truncation=limits)
    assert torch.equal(_inputs(folder)["input_ids"], expected)
    assert not recwarn.list


def _damaged(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe{")


def _no_image_processor(folder: Path, _: str) -> None:
    _edit(folder / "processor_config.json", image_processor=None)


def _no_tokenizer(folder: Path, name: str) -> None:
    (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "name", "message"),
    [
        (_damaged, "config.json", r"config\.json cannot be read"),
        (_damaged, "processor_config.json", r"processor_config\.json cannot be read"),
        (_damaged, "tokenizer_config.json", r"tokenizer_config\.json cannot be read"),
        (_damaged, "tokenizer.json", r"tokenizer\.json cannot be read"),
        (_damaged, "generation_config.json", r"generation_config\.json cannot be read"),
        (_damaged, "chat_template.jinja", r"chat_template\.jinja is no text in UTF-8"),
        (_no_tokenizer, "tokenizer.json", "has no complete processor"),
        (_no_image_processor, "", "has no complete processor"),
    ],
)
def test_what_is_damaged_or_missing_is_one_sentence_that_names_it(
    spoil: Callable[[Path, str], None], name: str, message: str, folder: Path
) -> None:
    spoil(folder, name)
    with pytest.raises(LayerhouseError, match=message) as raised:
        load(str(folder))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("also", [(), ("tokenizer.json", "tokenizer_config.json")])
def test_a_checkpoint_without_its_processor_says_where_to_take_it_from(
    also: tuple[str, ...], folder: Path
) -> None:
    for name in ("processor_config.json", *also):
        (folder / name).unlink()
    lacks = "lacks a tokenizer" if also else "neither processor_config.json nor preprocessor_conf"
    with pytest.raises(LayerhouseError, match=rf"{lacks}.*; copy the files of tokenizer and proc"):
        read_prompt(locate(str(folder)), ASKED)


def test_an_image_processor_that_was_renamed_is_the_one_it_became(
    family_folder: FamilyFolders, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(family_folder("qwen2_5_vl"), tmp_path / "qwen"))
    expected = ready_processor(copied).processor
    settings = json.loads((copied / "processor_config.json").read_text())
    (copied / "processor_config.json").unlink()
    inner = settings.pop("image_processor")
    inner |= settings | {"image_processor_type": "Qwen2_5_VLImageProcessor"}
    size = inner.pop("size")
    inner |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    (copied / "preprocessor_config.json").write_text(json.dumps(inner))
    found = ready_processor(copied).processor
    assert type(found.image_processor) is type(expected.image_processor)
    seen = [Encoder(each, "<|image_pad|>")([picture(90, 70)]) for each in (found, expected)]
    assert torch.equal(seen[0]["pixel_values"], seen[1]["pixel_values"])


def test_a_tokenizer_that_needs_a_package_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    monkeypatch.setattr(preflight, "find_spec", lambda _: None)
    with pytest.raises(LayerhouseError, match="install it with: pip install sentencepiece"):
        load(str(folder))


def test_a_file_of_sentencepiece_is_read_as_sentencepiece_reads_it(folder: Path) -> None:
    spm = pytest.importorskip("sentencepiece", reason="the tokenizer.model needs sentencepiece")
    words = folder.parent / "words.txt"
    words.write_text(f"USER: {ASKED} ASSISTANT: zero, one, two\n" * 50)
    spm.SentencePieceTrainer.train(
        input=str(words),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=60,
        model_type="bpe",
        hard_vocab_limit=False,
        user_defined_symbols=["<image>"],
        minloglevel=2,
    )
    (folder / "tokenizer.json").unlink()
    told = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told | {"legacy": False}))
    own = spm.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    found = read_tokenizer(folder)
    assert found.tokenize(f"USER: {ASKED}") == own.encode(f"USER: {ASKED}", out_type=str)


def test_a_decoder_that_config_json_does_not_describe_is_not_made_up(folder: Path) -> None:
    """What is left out is the family's usual size, here gigabytes of random weights."""
    _edit(folder / "config.json", text_config=None)
    with pytest.raises(LayerhouseError, match=r"describes a decoder of 4,\d+,\d+,\d+ weights or"):
        load(str(folder))
