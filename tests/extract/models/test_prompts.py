"""The question, the model's own template, and how a class phrase continues it."""

from __future__ import annotations

import pytest
from PIL import Image

from extract.models.loading import load
from extract.models.processors import Encoder
from extract.models.prompts import build_prompt, continuation, phrase_tokens, render
from extract.models.registry import registry
from tests.extract.conftest import FamilyFolders
from tests.extract.tiny_families import picture

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
    assert continuation(processor, QUESTION, "benign") == reply
    tokens = phrase_tokens(processor, QUESTION, "benign")
    assert processor.tokenizer.decode(tokens) == reply


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
