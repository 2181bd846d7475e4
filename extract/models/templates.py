"""Chat templates: where a model's lies, which one counts, what stands in for a missing one.

A template becomes one that gives the same prompt on every day, and has a place for the image.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from extract.models.registry import RegistryEntry
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

FILE = Path(__file__).resolve().with_suffix(".toml")
DAY = datetime(2025, 1, 1)
"""Today, for templates that ask: equal inputs are to give equal numbers."""
DIRECTIVES = "aAbBcCdDeFgGhHIjmMnpPrRsSTtuUVwWxXyYzZ"
PLACES = (
    "processor_config.json",
    "chat_template.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "tokenizer_config.json",
)
"""Where folders keep a template; the processor's own places come first, as in transformers."""


@dataclass(frozen=True)
class Template:
    """How a conversation becomes a prompt: Jinja text, None where the bare question is the prompt.

    `place` says where it is from, `notes` are worth showing. `is_new` is true where versions that
    did not store prompts would have rendered another one.
    """

    text: str | None
    place: str
    notes: tuple[str, ...] = ()
    is_new: bool = False

    def noting(self, note: str, text: str) -> "Template":
        return replace(self, text=text, notes=(*self.notes, note), is_new=True)


def template_in(folder: Path, known: Mapping[str, Any] | None = None) -> Template | None:
    """The template that counts of those in a folder, None where there is none.

    `known` are a published layout's own words on it: `own_template`, the place that counts, and
    `template_variables`, what the template is to be told.
    """
    layout = known or {}
    places = PLACES if known is None else tuple(filter(None, [layout.get("own_template")]))
    found = {name: text for name in places if (text := _text_in(folder / name))}
    if not found:
        return None
    place, text = next(iter(found.items()))
    others = [name for name, other in found.items() if other != text]
    notes = (f"the chat template of {place} counts, not that of {' or '.join(others)}",)
    before = next(
        (found[name] for name in (PLACES[2], PLACES[1], PLACES[4]) if name in found), None
    )
    told = "".join(
        f"{{%- set {name} = {json.dumps(value)} -%}}"
        for name, value in layout.get("template_variables", {}).items()
    )
    is_new = known is not None or before != text
    return Template(told + text, place, notes if others else (), is_new)


def unused_template(adapter: Path, folder: Path) -> tuple[str, ...]:
    """A note where an adapter's trainer saved a chat template that is not the model's."""
    own, models = template_in(adapter), template_in(folder)
    if own is None or (models is not None and own.text == models.text):
        return ()
    return (
        f"the adapter {adapter.name} lies beside a chat template ({own.place}) that is not the "
        "model's and is not used; to ask as it was trained, put that file into the model's folder",
    )


def carried_template(processor: Any, place: str) -> Template:
    """The template that a processor in memory carries, or its tokenizer does."""
    tokenizer = getattr(processor, "tokenizer", None)
    own = getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
    text = own.get("default") if isinstance(own, dict) else own
    return Template(text, place if text else "none: the processor places the image")


def entry_template(entry: RegistryEntry | None, token: str | None) -> Template | None:
    """The template that the registry knows for a model whose files hold none."""
    if entry is None or entry.chat_template is None:
        return None
    text = entry.chat_template.replace("{image}", token or "")
    return Template(text, f"the registry ({entry.name})", is_new=True)


def family_template(family: str, token: str | None) -> Template:
    """How the documentation of a family asks, for a model without any template."""
    image, facts = family_image(family, token), _known()["families"].get(family)
    if image is None:
        return Template(None, "none: the processor places the image")
    place = f"the documentation of {family}" if facts else "none: the image, then the question"
    text = _known()["styles"][facts["style"] if facts else "plain"].replace("{image}", image)
    how = (
        f"; it is asked as {place} does"
        if facts
        else f" and none is known for {family}: the image stands in front of the question"
    )
    note = f"the model has no chat template{how}"
    return Template(text, place, (note,), is_new=True)


def family_image(family: str, token: str | None) -> str | None:
    """What stands for an image in a prompt; None where the processor puts it in itself."""
    facts = _known()["families"].get(family, {"style": "plain", "image": "{token}\n"})
    if facts["style"] == "placed" or token is None:
        return None
    return str(facts["image"]).replace("{token}", token)


def with_image(template: Template, image: str) -> Template:
    """A template written for texts, made to put the image in front of the question.

    So do servers that run such models: what stands for the image begins the text.
    """
    assert template.text is not None
    image = json.dumps(image)
    flat = (
        "{%- set flat = namespace(turns=[]) -%}{%- for m in messages -%}"
        "{%- set said = namespace(text='') -%}{%- for c in m['content'] -%}"
        f"{{%- set said.text = said.text + ({image} if c['type'] == 'image' else c['text']) -%}}"
        "{%- endfor -%}{%- set flat.turns = flat.turns + "
        "[{'role': m['role'], 'content': said.text}] -%}{%- endfor -%}"
        "{%- set messages = flat.turns -%}"
    )
    note = (
        f"the chat template in {template.place} has no place for an image: the image token stands "
        "in front of the question"
    )
    return template.noting(note, flat + template.text)


def with_one_day(template: Template) -> Template:
    """A template that asks for the date, told the same one always."""
    assert template.text is not None
    note = (
        f"the chat template writes the date into the prompt: it is given {DAY:%Y-%m-%d} in every "
        "run, so that equal inputs give equal numbers"
    )
    return template.noting(note, told_day(template.text, DAY))


def told_day(text: str, day: datetime) -> str:
    """A template's text with a `strftime_now` of its own, which knows one day."""
    answers = "".join(_answers(day))
    head = "{%- macro strftime_now(format) -%}{{ format" + answers + " }}{%- endmacro -%}"
    return head + text


def _answers(day: datetime) -> Iterator[str]:
    for letter in DIRECTIVES:
        for directive in (f"%-{letter}", f"%{letter}"):
            yield f"|replace({json.dumps(directive)}, {json.dumps(day.strftime(directive))})"


def _text_in(path: Path) -> str | None:
    """The template in a file, if it has one."""
    if not path.is_file():
        return None
    if path.suffix == ".jinja":
        try:
            return path.read_text(encoding="utf-8-sig") or None
        except ValueError as error:
            raise LayerhouseError(f"{path} is no text in UTF-8") from error
    found = read_object(path).get("chat_template")
    if isinstance(found, list):  # several with names, as tokenizers keep them
        found = {str(one.get("name")): one.get("template") for one in found if type(one) is dict}
    if isinstance(found, dict):
        named = {name: text for name, text in found.items() if isinstance(text, str)}
        if named and "default" not in named and len(named) > 1:
            raise LayerhouseError(
                f"{path} holds the chat templates {', '.join(named)} and no default; name the one "
                "that is meant default"
            )
        found = named.get("default") or next(iter(named.values()), None)
    if found is not None and not isinstance(found, str):
        raise LayerhouseError(f"the chat_template in {path} is no text")
    return found or None


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
