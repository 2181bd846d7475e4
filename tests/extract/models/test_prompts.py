"""The question, the model's own template, and how a class phrase continues it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from extract.models.loading import load
from extract.models.processors import Encoder, ready_processor
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, continuation, phrase_tokens, render
from extract.models.registry import registry
from tests.extract.conftest import FamilyFolders
from tests.extract.tiny_families import FAMILIES, picture

QUESTION = build_prompt(["benign", "malignant"])


def test_the_question_lists_the_phrases_in_order() -> None:
    assert QUESTION == "What does this image show? Answer with one of: benign, malignant."


@pytest.mark.parametrize(
    ("family", "ending", "reply"),
    [
        ("llava", "ASSISTANT:", " benign"),
        ("qwen2_vl", "<|im_start|>assistant\n", "benign"),
        ("gemma3", "<start_of_turn>model\n", "benign"),
        ("pixtral_llava", "[/INST]", "benign"),
        ("blip_2", "malignant.\n", "benign"),
    ],
)
def test_a_reply_continues_the_prompt_as_the_template_lays_it_out(
    family: str, ending: str, reply: str, family_folder: FamilyFolders
) -> None:
    processor = load(str(family_folder(family))).processor
    assert render(processor, QUESTION).endswith(ending)
    assert continuation(processor, Wording(QUESTION), "benign") == reply
    (tokens,) = phrase_tokens(processor, Wording(QUESTION), ["benign"])
    assert processor.tokenizer.decode(tokens) == reply


MANY = [
    *(f"{place} {kind} of the {organ}" for place in ("left", "Upper") for kind in ("mass", "IDC(-)")
      for organ in ("lung", "liver", "ärm", "脑")),
    *("4", "4a", "4 a", "ER+", "<5 mm", "肺炎", "no finding", "x-ray", "(none)", "_", "A.", "…"),
]  # fmt: skip


def _slow_tokens(processor: Any, question: str, phrase: str, prefix: str | None) -> list[int]:
    """As the prompt is read whole for every phrase."""
    prompt = render(processor, Wording(question, reply_prefix=prefix))
    reply = continuation(processor, Wording(question, reply_prefix=prefix), phrase)
    read = processor.tokenizer
    before = read(prompt, add_special_tokens=False)["input_ids"]
    whole = read(prompt + reply, add_special_tokens=False)["input_ids"]
    if whole[: len(before)] == before and len(whole) > len(before):
        return list(whole[len(before) :])
    return list(read(reply, add_special_tokens=False)["input_ids"])


PREFIXES = (None, "The answer is", "答案：")
CASES = [
    pytest.param(
        family, prefix, marks=[pytest.mark.slow] if place % 3 != turn else [], id=f"{family}-{turn}"
    )
    for place, family in enumerate(FAMILIES)
    for turn, prefix in enumerate(PREFIXES)
]


@pytest.mark.parametrize(("family", "prefix"), CASES)
def test_phrases_behind_a_long_prompt_have_the_tokens_that_they_have_in_all_of_it(
    family: str, prefix: str | None, family_folder: FamilyFolders
) -> None:
    processor = ready_processor(family_folder(family)).processor
    for question in (build_prompt(MANY), build_prompt(MANY[:2])):
        found = phrase_tokens(processor, Wording(question, reply_prefix=prefix), MANY)
        assert found == [_slow_tokens(processor, question, phrase, prefix) for phrase in MANY]


def test_of_a_long_prompt_only_the_end_is_read_for_each_phrase(
    family_folder: FamilyFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = ready_processor(family_folder("qwen2_vl")).processor
    question, kind, read = build_prompt(MANY), type(processor.tokenizer), []
    plain = kind.__call__

    def reading(self: Any, text: str, **options: Any) -> Any:
        read.append(len(text))
        return plain(self, text, **options)

    monkeypatch.setattr(kind, "__call__", reading)
    phrase_tokens(processor, Wording(question), MANY)
    assert sum(length > len(question) for length in read) < 12 < len(MANY) < len(read)


@pytest.mark.parametrize("where", ["in the prompt", "in the reply"])
def test_an_end_that_says_otherwise_is_not_read_alone(where: str) -> None:
    """A tokenizer whose tokens depend on how long the text is, all of them or the last."""
    question = build_prompt(MANY)

    class Counting:
        chat_template = bos_token = None

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            found = [ord(sign) for sign in text]
            if len(text) > len(question) and where == "in the prompt":
                found = [token + 1 for token in found]
            elif len(text) > len(question) and text[-1] != "\n":
                found[-1] += 1
            return {"input_ids": found}

    processor = SimpleNamespace(tokenizer=Counting())
    expected = [_slow_tokens(processor, question, phrase, None) for phrase in MANY]
    assert phrase_tokens(processor, Wording(question), MANY) == expected


def test_a_prompt_that_starts_with_a_bos_token_gets_no_second_one(
    family_folder: FamilyFolders,
) -> None:
    processor = load(str(family_folder("gemma3"))).processor
    inputs = Encoder(processor, render(processor, QUESTION))([picture(64, 64)])
    bos = processor.tokenizer.bos_token_id
    assert int((inputs["input_ids"] == bos).sum()) == 1


def test_prompts_are_padded_on_the_left(family_folder: FamilyFolders) -> None:
    processor = load(str(family_folder("qwen2_vl"))).processor
    encode = Encoder(processor, render(processor, QUESTION))
    mask = encode([picture(56, 56), picture(112, 112)])["attention_mask"]
    assert mask[:, -1].tolist() == [1, 1]
    assert mask[:, 0].tolist() == [0, 1]


def test_an_image_is_padded_to_a_square_where_the_registry_says_so(
    family_folder: FamilyFolders,
) -> None:
    processor = load(str(family_folder("llava"))).processor
    prompt = render(processor, QUESTION)
    wide = Image.new("RGB", (112, 56), "white")
    padded = Encoder(processor, prompt, {"pad_to_square": True})([wide])["pixel_values"]
    plain = Encoder(processor, prompt)([wide])["pixel_values"]
    assert float(plain.std()) < float(padded.std())
    assert float(padded[0, :, 0].max()) < float(padded[0, :, 28].min())


def test_an_image_is_squeezed_into_a_square_where_the_registry_says_so(
    family_folder: FamilyFolders,
) -> None:
    processor = load(str(family_folder("qwen2_vl"))).processor
    prompt = render(processor, QUESTION)
    wide = picture(112, 56)
    found = Encoder(processor, prompt, {"resize": 84})([wide])
    same = Encoder(processor, prompt)([wide.resize((84, 84), Image.Resampling.BICUBIC)])
    assert (found["pixel_values"] == same["pixel_values"]).all()
    assert found["image_grid_thw"].tolist() == same["image_grid_thw"].tolist()
    assert registry()["med-r1"].preprocessing == {"resize": 384}


def test_training_targets_of_a_processor_are_dropped(family_folder: FamilyFolders) -> None:
    processor = load(str(family_folder("paligemma"))).processor
    inputs = Encoder(processor, render(processor, QUESTION))([picture(64, 64)])
    assert "labels" not in inputs
    assert "token_type_ids" in inputs
