"""Settling: which chat template a processor works with, tried on the processor itself."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from extract.models.prompts import conversation
from extract.models.registry import RegistryEntry
from extract.models.templates import (
    DAY,
    Template,
    entry_template,
    family_image,
    family_template,
    told_day,
    with_image,
    with_one_day,
)
from warehouse.errors import LayerhouseError, said

OTHER_DAY = datetime(2031, 11, 23, 12, 34, 56)


def settle(
    processor: Any, found: Template | None, entry: RegistryEntry | None, family: str
) -> Template:
    """Give a processor the template that counts, and return it.

    `found` is what its files hold. One that has no place for an image, as language models' have,
    is replaced by the registry's or made to put the image in front of the question; where there is
    none, the family's documentation says how it is asked. Raises LayerhouseError for a template
    that lays out nothing.
    """
    token = image_token(processor)
    image = family_image(family, token)
    known = entry_template(entry, token)
    if found is None or found.text is None:
        chosen = known or family_template(family, token)
    elif image is None or _shows_image(processor, found.text):
        chosen = found
    else:
        chosen = known or with_image(found, image)
        if not _shows_image(processor, str(chosen.text)):
            raise LayerhouseError(
                f"the chat template in {found.place} cannot lay out a question with an image: "
                f"{_fault(processor, found.text)}; mend it, or take it out"
            )
    if chosen.text is not None:
        if _is_dated(processor, chosen.text):
            chosen = with_one_day(chosen)
        _refuse_unfit(processor, chosen)
        chosen = replace(chosen, notes=(*chosen.notes, *_unbegun(processor, str(chosen.text))))
    processor.chat_template = chosen.text
    return chosen


def _refuse_unfit(processor: Any, chosen: Template) -> None:
    """LayerhouseError for a template under which no question is asked, or another each time."""
    text = str(chosen.text)
    asked = [_laid_out(processor, text, conversation(said)) for said in ("one", "two", "one")]
    if asked[0] == asked[1]:
        raise LayerhouseError(
            f"the chat template in {chosen.place} leaves the question out: it renders "
            f"{asked[0]!r}; mend it, or take it out"
        )
    if asked[0] != asked[2]:
        raise LayerhouseError(
            f"the chat template in {chosen.place} writes another prompt each time; mend it, or "
            "take it out"
        )


def _unbegun(processor: Any, text: str) -> tuple[str, ...]:
    """A note where a template begins a reply that is there, and not one that is to come."""
    reply = {"role": "assistant", "content": [{"type": "text", "text": "reply"}]}
    asked = _laid_out(processor, text, conversation("?"))
    try:
        whole = _laid_out(processor, text, [*conversation("?"), reply])
    except Exception:  # some know no conversation that ends so
        return ()
    begun = whole.removeprefix(asked).partition("reply")[0].strip()
    if not whole.startswith(asked) or not begun:
        return ()
    return (
        f"the chat template writes {begun!r} before a reply that is there, and nothing where one "
        "is to come (add_generation_prompt): the model is asked without it",
    )


def image_token(processor: Any) -> str | None:
    """What a person writes into a prompt for this processor to put an image there."""
    for name in ("boi_token", "image_token"):  # Gemma 3 writes the one and fills in the other
        found = getattr(processor, name, None)
        if found:
            return str(found)
    return None


def _shows_image(processor: Any, text: str) -> bool:
    """Whether a template lays out a question with an image otherwise than one without."""
    turn = conversation("?")
    words = [{**turn[0], "content": turn[0]["content"][1:]}]
    try:
        spoken = _laid_out(processor, text, words)
        is_of_texts = str(words[0]["content"]) in spoken  # it writes the list that it was given
        return not is_of_texts and _laid_out(processor, text, turn) != spoken
    except Exception:  # a template may raise anything, also on purpose
        return False


def _is_dated(processor: Any, text: str) -> bool:
    if "strftime_now" not in text:
        return False
    days = (told_day(text, day) for day in (DAY, OTHER_DAY))
    return len({_laid_out(processor, one, conversation("?")) for one in days}) > 1


def _fault(processor: Any, text: str) -> str:
    try:
        return f"it renders {_laid_out(processor, text, conversation('?'))!r}"
    except Exception as error:
        return said(error)


def _laid_out(processor: Any, text: str, turns: Any) -> str:
    processor.chat_template = text
    return str(processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
