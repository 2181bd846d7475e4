"""What a model is asked: one question per dataset, put through the model's own chat template."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from extract.models.files import failing_as
from extract.models.prompt_entries import Wording, default_prompt
from extract.models.templates import Template
from warehouse.errors import LayerhouseError, said

FIRST_UNSPACED = 0x2E80
"""From here on characters are those of scripts that are written without spaces, or wide."""


def build_prompt(phrases: Sequence[str]) -> str:
    """The question of the default prompt, listing a dataset's class phrases in order."""
    return default_prompt().question(phrases)


@dataclass(frozen=True)
class Prompt:
    """What goes to the model with every image of a run.

    `text` has one place for an image, or none where the processor puts it in; `token_ids` are those
    of the text, before the processor makes as many image tokens of one as an image takes. `notes`
    are worth showing.
    """

    text: str
    token_ids: tuple[int, ...]
    template: Template
    notes: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """What of it decides the model's numbers."""
        return {"text": self.text, "token_ids": list(self.token_ids)}


def prompt_of(processor: Any, wording: Wording, template: Template) -> Prompt:
    """What is said as this processor puts it, under the template that it was given."""
    text = render(processor, wording)
    with failing_as("the tokenizer cannot read the prompt"):
        return Prompt(text, tuple(prompt_tokens(processor, text)), template)


def unseeing_tokens(processor: Any, wording: Wording) -> list[int]:
    """The token ids of the same prompt without an image."""
    return prompt_tokens(processor, render(processor, wording, image=False))


def prompt_tokens(processor: Any, text: str) -> list[int]:
    """The token ids of a prompt's text."""
    found = processor.tokenizer(text, **special_tokens(processor, text))["input_ids"]
    return [int(token) for token in found]


def special_tokens(processor: Any, prompt: str) -> dict[str, bool]:
    """How the tokenizer is called: a prompt that starts with its first token gets no second one."""
    bos = getattr(processor.tokenizer, "bos_token", None)
    return {"add_special_tokens": False} if bos and prompt.startswith(bos) else {}


def conversation(
    question: str, system: str | None = None, *, image: bool = True
) -> list[dict[str, Any]]:
    """One user turn in the form chat templates expect, the image, then the question; before it what
    the system says, if anything.
    """
    shown = [{"type": "image"}] if image else []
    asked = {"role": "user", "content": [*shown, {"type": "text", "text": question}]}
    if system is None:
        return [asked]
    return [{"role": "system", "content": [{"type": "text", "text": system}]}, asked]


def render(processor: Any, said: Wording | str, *, image: bool = True) -> str:
    """The prompt text of a wording, or of a question alone, up to the point where the model starts
    to answer, with one image in it or without.

    Uses the chat template the processor (or its tokenizer) carries. A processor without one, as
    BLIP-2 and PaliGemma have, gets its image token (unless the processor places it itself)
    followed by the question, which is how those models were trained. Raises LayerhouseError for a
    system text that the template leaves out.
    """
    wording = Wording(said) if isinstance(said, str) else said
    question, system, prefix = wording.question, wording.system, wording.reply_prefix or ""
    if not has_chat_template(processor):
        return f"{system}\n{question}\n{prefix}" if system else f"{question}\n{prefix}"
    with _placing(system):
        text = str(
            processor.apply_chat_template(
                conversation(question, system, image=image),
                tokenize=False,
                add_generation_prompt=True,
            )
        )
        if system is not None and system.strip() not in text:
            raise ValueError("it leaves it out")
    return text + prefix


@contextmanager
def _placing(system: str | None) -> Iterator[None]:
    """Templates that know no system raise anything of their own over one."""
    try:
        yield
    except Exception as error:
        if system is None:
            raise
        raise LayerhouseError(
            "the model's chat template has no place for a system text: put its words into the "
            f"question ({said(error)})"
        ) from error


def _ended(processor: Any, prompt: Prompt) -> tuple[str, ...]:
    """A note where a prompt ends with the token that ends a reply, which few models go on from."""
    tokenizer = processor.tokenizer
    end = getattr(tokenizer, "eos_token_id", None)
    if end is None or prompt.token_ids[-1:] != (end,):
        return ()
    word = tokenizer.convert_ids_to_tokens(end)
    is_written = prompt.text.rstrip().endswith(word)
    by = f"{prompt.template.place} writes" if is_written else "the tokenizer adds (post_processor)"
    return (
        f"the prompt ends with {word}, the end of a reply, which {by}: the model is asked to go on "
        "after its own end; take it out, unless the model was trained so",
    )


SHOWN = 24
"""Characters of a question, and of what became of them, in a note."""
LEAST_KEPT = 4
"""Characters of a question after which the place of a change is known."""


def prompt_notes(processor: Any, prompt: Prompt, question: str) -> tuple[str, ...]:
    """What is worth knowing of how a question became this prompt."""
    return (*_altered(prompt.text, question), *_ended(processor, prompt))


def _altered(text: str, question: str) -> tuple[str, ...]:
    """A note where the prompt of a question does not hold it word for word, as where a chat
    template writes it in small letters or escapes its signs.
    """
    question = question.strip()
    if question in text:
        return ()
    kept = bisect_left(range(len(question)), True, key=lambda n: question[: n + 1] not in text)
    if kept < LEAST_KEPT:  # so few letters stand anywhere
        kept, became = 0, ""
    else:
        at = text.find(question[:kept]) + kept
        became = f", there is {text[at : at + SHOWN]!r}"
    return (
        "the chat template changes the question that it is given: where that says "
        f"{question[kept : kept + SHOWN]!r}{became}",
    )


def has_chat_template(processor: Any) -> bool:
    """Whether `processor` can lay out a conversation itself."""
    tokenizer = getattr(processor, "tokenizer", None)
    return bool(
        getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
    )


def continuation(processor: Any, wording: Wording, phrase: str) -> str:
    """The text a model of this template writes after `render` when it answers `phrase`.

    Most templates put a space between the prompt and the reply, some do not: the template is asked,
    by letting it lay out the finished conversation. Where it does not simply go on from the prompt
    a space is set unless the prompt ends with one, or with a sign that none follows. Behind what
    the reply begins with the template says nothing more.
    """
    prompt = render(processor, wording)
    if has_chat_template(processor) and not wording.reply_prefix:
        reply = {"role": "assistant", "content": [{"type": "text", "text": phrase}]}
        turns = [*conversation(wording.question, wording.system), reply]
        whole = str(processor.apply_chat_template(turns, tokenize=False))
        if whole.startswith(prompt) and phrase in whole[len(prompt) :]:
            rest = whole[len(prompt) :]
            return rest[: rest.index(phrase) + len(phrase)]
    apart = not prompt[-1:].isspace() and (
        not wording.reply_prefix or ord(prompt[-1]) < FIRST_UNSPACED
    )
    return f" {phrase}" if apart else phrase


def turn_end(processor: Any) -> int | None:
    """The special token that the chat template writes right behind a reply, if it does."""
    if not has_chat_template(processor):
        return None
    reply = {"role": "assistant", "content": [{"type": "text", "text": "reply"}]}
    turns = [*conversation("question"), reply]
    whole = str(processor.apply_chat_template(turns, tokenize=False))
    behind = whole.rpartition("reply")[2].lstrip()
    tokens = processor.tokenizer(behind, add_special_tokens=False)["input_ids"]
    added = processor.tokenizer.added_tokens_decoder
    return int(tokens[0]) if tokens and tokens[0] in added and added[tokens[0]].special else None


def phrase_tokens(processor: Any, wording: Wording, phrases: Sequence[str]) -> list[list[int]]:
    """The token ids of each phrase as it continues the prompt: never empty.

    What the tokenizer adds for the reply when it reads prompt and reply as one text; where that
    would change the prompt's own last token, the reply is tokenised by itself. Of a long prompt
    only the end is read again for each phrase, where that is seen to make no difference.
    """
    tokenizer = getattr(processor, "tokenizer", processor)

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    prompt = render(processor, wording)
    replies = [continuation(processor, wording, phrase) for phrase in phrases]
    end = _end_read_alone(prompt, ids)
    if any(_added(end, reply, ids) != _added(prompt, reply, ids) for reply in _tried(replies)):
        end = prompt
    before, found = ids(end), []
    for phrase, reply in zip(phrases, replies, strict=True):
        tokens = _added(end, reply, ids, before) or ids(reply)
        if not tokens:
            raise LayerhouseError(f"the class phrase {phrase!r} has no tokens in this model")
        found.append(tokens)
    return found


Ids = Callable[[str], list[int]]
LEAST_END = 256
"""Characters of a prompt's end that are read again for each phrase, at least: no token or merge of
a phrase reaches so far back."""
PLACES = 16
"""Places of a prompt that are tried for where its end may be read alone."""


def _end_read_alone(prompt: str, ids: Ids) -> str:
    """The end of a prompt that has alone the tokens which it has there; all of it if none has."""
    blanks = [at for at, sign in enumerate(prompt[: -LEAST_END or None]) if sign.isspace()]
    if len(prompt) <= 2 * LEAST_END or not blanks:
        return prompt
    whole = ids(prompt)
    for blank in reversed(blanks[-PLACES:]):
        for start in (blank, blank + 1):  # some tokenizers put a blank before any text
            tokens = ids(prompt[start:])
            if whole[-len(tokens) :] == tokens:
                return prompt[start:]
    return prompt


def _tried(replies: Sequence[str]) -> Sequence[str]:
    """The replies by which the end of a prompt is held against all of it."""
    return [replies[0], replies[-1], min(replies, key=len), max(replies, key=len)]


def _added(prompt: str, reply: str, ids: Ids, before: Sequence[int] | None = None) -> list[int]:
    """The tokens that a reply adds to a prompt's (`before`); none where it changes these."""
    before = ids(prompt) if before is None else before
    whole = ids(prompt + reply)
    return whole[len(before) :] if whole[: len(before)] == before else []
