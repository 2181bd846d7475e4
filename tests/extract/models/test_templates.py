"""Wherever a chat template lies, and where none does: one prompt, of every day, with its image."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import transformers.utils.chat_template_utils as chat_template_utils

from extract.models.loading import load
from extract.models.prompts import Prompt
from extract.models.registry import entry_named, find_alike
from extract.models.sources import locate
from tests.extract.conftest import FamilyFolders
from tests.extract.models.asked import read_prompt
from warehouse.errors import LayerhouseError

ASKED = "Is it benign?"
TEXT_ONLY = (
    "{% for m in messages %}<|im_start|>{{ m['role'] + '\n' + m['content'] + '<|im_end|>' }}\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny LLaVA of which nothing says how it is asked."""
    copied = Path(shutil.copytree(locate("tiny-digits").folder, tmp_path / "model"))
    (copied / "chat_template.jinja").unlink()
    _set(copied, "tokenizer_config.json", None)
    return copied


@pytest.fixture(scope="module")
def own() -> str:
    return (locate("tiny-digits").folder / "chat_template.jinja").read_text()


def _set(folder: Path, name: str, template: Any) -> None:
    path = folder / name
    if name.endswith(".jinja"):
        path.write_text(template)
        return
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(found | {"chat_template": template}))


def _prompt(folder: Path) -> Prompt:
    return read_prompt(locate(str(folder)), ASKED)


@pytest.mark.parametrize(
    ("place", "form"),
    [
        ("processor_config.json", "text"),
        ("chat_template.json", "text"),
        ("chat_template.jinja", "text"),
        ("preprocessor_config.json", "text"),
        ("tokenizer_config.json", "text"),
        ("tokenizer_config.json", "named"),
        ("processor_config.json", "one of several"),
    ],
)
def test_a_template_is_found_wherever_it_lies(
    place: str, form: str, folder: Path, own: str
) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": own}]
    forms = {"text": own, "named": several, "one of several": {"rag": "x", "default": own}}
    _set(folder, place, forms[form])
    prompt = _prompt(folder)
    assert prompt.text == f"USER: <image>\n{ASKED} ASSISTANT:"
    assert prompt.template.place == place
    assert prompt.notes == ()
    assert prompt.token_ids[:1] != ()
    tokenizer = load(str(folder)).processor.tokenizer
    assert list(prompt.token_ids) == tokenizer(prompt.text)["input_ids"]


def test_of_two_templates_the_processors_own_wins_and_it_is_said(folder: Path, own: str) -> None:
    _set(folder, "processor_config.json", own)
    _set(folder, "tokenizer_config.json", own.replace("USER", "HUMAN"))
    prompt = _prompt(folder)
    assert prompt.text.startswith("USER: ")
    assert prompt.notes == (
        "the chat template of processor_config.json counts, not that of tokenizer_config.json",
    )
    assert prompt.template.is_new, "versions before took the tokenizer's"
    _set(folder, "tokenizer_config.json", own)
    assert _prompt(folder).notes == ()


def test_several_templates_without_a_default_are_refused(folder: Path) -> None:
    _set(folder, "processor_config.json", {"rag": "x", "tool_use": "y"})
    with pytest.raises(LayerhouseError, match="the chat templates rag, tool_use and no default"):
        _prompt(folder)


def test_without_a_template_the_familys_documentation_is_followed(folder: Path) -> None:
    prompt = _prompt(folder)
    assert prompt.text == f"USER: <image>\n{ASKED} ASSISTANT:"
    assert prompt.notes == (
        "the model has no chat template; it is asked as the documentation of llava does",
    )


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (
            "qwen2_vl",
            "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Is it benign?<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        ("idefics3", "User:<image> Is it benign?<end_of_utterance>\nAssistant:"),
        ("internvl", "<|im_start|>user\n<IMG_CONTEXT>\nIs it benign?<|im_end|>\n<|im_start|>assis"),
        ("mllama", "<|image|><|begin_of_text|>Is it benign?\n"),
        ("gemma3", "<s><start_of_turn>user\n<start_of_image>Is it benign?<end_of_turn>\n<start_of"),
        ("janus", "<image_placeholder>\nIs it benign?\n"),
        ("blip_2", "Is it benign?\n"),
    ],
)
def test_every_family_without_a_template_is_asked_with_its_image(
    family: str, text: str, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(family_folder(family), tmp_path / family))
    (copied / "chat_template.jinja").unlink(missing_ok=True)
    prompt = _prompt(copied)
    assert prompt.text.startswith(text)
    assert bool(prompt.notes) == (family != "blip_2")
    assert prompt.template.is_new == (family != "blip_2")


def test_a_template_for_texts_gets_the_image_in_front(folder: Path) -> None:
    _set(folder, "tokenizer_config.json", TEXT_ONLY)
    prompt = _prompt(folder)
    assert prompt.text == (f"<|im_start|>user\n<image>\n{ASKED}<|im_end|>\n<|im_start|>assistant\n")
    assert "tokenizer_config.json has no place for an image" in prompt.notes[0]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ("|lower", "where that says 'Is it benign?'"),
        ("|replace('benign', '1')", "where that says 'benign?', there is '1? ASSISTANT:'"),
        ("[:8]", "where that says 'nign?', there is ' ASSISTANT:'"),
        ("|replace('?', '&#63;')", "where that says '?', there is '&#63; ASSISTANT:'"),
    ],
)
def test_a_template_that_changes_the_question_is_told(
    change: str, note: str, folder: Path, own: str
) -> None:
    _set(folder, "chat_template.jinja", own.replace("part['text']", f"part['text']{change}"))
    assert note in _prompt(folder).notes[0]
    _set(folder, "chat_template.jinja", own.replace("part['text']", "part['text']|trim"))
    assert _prompt(folder).notes == ()


def test_a_prompt_that_ends_with_the_end_of_a_reply_is_told(folder: Path, own: str) -> None:
    _set(folder, "chat_template.jinja", own + "</s>")
    assert "ends with </s>, the end of a reply, which chat_templ" in _prompt(folder).notes[0]
    _set(folder, "chat_template.jinja", own)
    path = folder / "tokenizer.json"
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    adds = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}},
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": adds}))
    assert "which the tokenizer adds (post_processor)" in _prompt(folder).notes[0]


def test_a_template_that_writes_the_list_it_is_given_is_one_for_texts(folder: Path) -> None:
    _set(folder, "chat_template.jinja", "{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    prompt = _prompt(folder)
    assert prompt.text == f"[<image>\n{ASKED}]"
    assert "chat_template.jinja has no place for an image" in prompt.notes[0]


def test_a_mark_that_windows_sets_before_a_text_is_no_part_of_it(folder: Path, own: str) -> None:
    lines = own.replace("%}{%", "%}\r\n{%", 1)
    (folder / "chat_template.jinja").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert _prompt(folder).text == f"USER: <image>\n{ASKED} ASSISTANT:"


def test_a_template_that_leaves_the_question_out_is_refused(folder: Path, own: str) -> None:
    """As one does that asks a part of a turn for another key than ours."""
    _set(folder, "chat_template.jinja", own.replace("part['text']", "part['value']"))
    with pytest.raises(LayerhouseError, match=r"jinja leaves the question out: it renders 'USER: "):
        _prompt(folder)


def test_a_template_of_another_prompt_each_time_is_refused(folder: Path, own: str) -> None:
    _set(folder, "chat_template.jinja", own + "{{ range(99999) | random }}")
    with pytest.raises(LayerhouseError, match=r"jinja writes another prompt each time; mend it"):
        _prompt(folder)


def test_a_reply_that_is_not_begun_is_said(folder: Path, own: str) -> None:
    _set(folder, "chat_template.jinja", own.partition("{% if add_generation_prompt")[0])
    prompt = _prompt(folder)
    assert prompt.text == f"USER: <image>\n{ASKED} "
    (note,) = prompt.notes
    assert note.startswith("the chat template writes 'ASSISTANT:' before a reply that is there")
    assert not prompt.template.is_new, "it is asked as it was"


@pytest.mark.parametrize(
    "template", ["{% if %}", "{{ raise_exception('never') }}", "{{ nothing.at_all }}", "Hello."]
)
def test_a_template_that_lays_out_nothing_is_one_sentence(template: str, folder: Path) -> None:
    _set(folder, "chat_template.jinja", template)
    with pytest.raises(LayerhouseError, match="cannot lay out a question with an image") as raised:
        _prompt(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["huatuogpt-vision-34b", "huatuogpt-vision-7b-llava"])
@pytest.mark.parametrize("text_only", [False, True])
def test_the_registrys_template_stands_in_for_a_missing_one(
    name: str, text_only: bool, folder: Path
) -> None:
    if text_only:
        _set(folder, "tokenizer_config.json", TEXT_ONLY)
    source = replace(locate(str(folder)), entry=entry_named(name))
    prompt = read_prompt(source, ASKED)
    assert prompt.text == f"<|user|>\n<image>\n{ASKED}\n<|assistant|>\n"
    assert prompt.template.place == f"the registry ({name})"


def test_a_copy_of_a_known_model_is_known_by_name_family_and_sizes() -> None:
    sizes = {"num_hidden_layers": 60, "hidden_size": 7168}
    config = {"model_type": "llava", "text_config": sizes}
    found = find_alike(config, "HuatuoGPT-Vision-34B-hf")
    assert found is entry_named("huatuogpt-vision-34b")
    assert find_alike(config, "my-llava") is None
    other = config | {"text_config": sizes | {"hidden_size": 64}}
    assert find_alike(other, "HuatuoGPT-Vision-34B-hf") is None


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        pytest.param("strftime_now('%Y-%m-%d')", "2025-01-01", marks=pytest.mark.slow),
        pytest.param("strftime_now('%d %b %Y')", "01 Jan 2025", marks=pytest.mark.slow),
        pytest.param(
            "strftime_now('%-d %B %y, %H:%M:%S')", "1 January 25, 00:00:00", marks=pytest.mark.slow
        ),
        ("strftime_now('%A') if strftime_now is defined else 'some day'", "Wednesday"),
    ],
)
def test_a_template_that_asks_for_the_date_is_told_one_day(
    asks: str, says: str, folder: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(folder, "chat_template.jinja", f"{{{{ 'Now is ' + ({asks}) + '. ' }}}}{own}")
    texts = set()
    for year in (2026, 2041):

        class Clock(datetime):
            @classmethod
            def now(cls, _: Any = None, year: int = year) -> Any:
                return datetime(year, 7, 23, 12, 34, 56)

        monkeypatch.setattr(chat_template_utils, "datetime", Clock)
        prompt = _prompt(folder)
        texts.add(prompt.text)
    assert texts == {f"Now is {says}. USER: <image>\n{ASKED} ASSISTANT:"}
    assert "it is given 2025-01-01 in every run" in prompt.notes[0]
    assert prompt.template.is_new


@pytest.mark.slow
def test_a_template_that_only_could_ask_for_the_date_is_left_alone(folder: Path, own: str) -> None:
    _set(folder, "chat_template.jinja", "{% if tools %}{{ strftime_now('%Y') }}{% endif %}" + own)
    prompt = _prompt(folder)
    assert prompt.notes == ()
    assert not prompt.template.is_new
