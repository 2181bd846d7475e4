"""What a model is asked: one question per dataset, put through the model's own chat template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extract.models.files import failing_as
from extract.models.templates import Template
from warehouse.errors import LayerhouseError

QUESTION = "What does this image show? Answer with one of: {options}."


def build_prompt(phrases: Sequence[str], template: str = QUESTION) -> str:
    """The question that goes with every image of a dataset, listing its class phrases in order.

    `template` may replace the default wording and must hold `{options}` once.
    """
    if template.count("{options}") != 1:
        raise LayerhouseError(
            f"the question template {template!r} must contain '{{options}}' exactly once, "
            "where the class phrases are listed"
        )
    return template.replace("{options}", ", ".join(phrases))


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


def prompt_of(processor: Any, question: str, template: Template) -> Prompt:
    """The question as this processor puts it, under the template that it was given."""
    text = render(processor, question)
    with failing_as("the tokenizer cannot read the prompt"):
        found = processor.tokenizer(text, **special_tokens(processor, text))["input_ids"]
    return Prompt(text, tuple(int(token) for token in found), template)


def special_tokens(processor: Any, prompt: str) -> dict[str, bool]:
    """How the tokenizer is called: a prompt that starts with its first token gets no second one."""
    bos = getattr(processor.tokenizer, "bos_token", None)
    return {"add_special_tokens": False} if bos and prompt.startswith(bos) else {}


def conversation(question: str) -> list[dict[str, Any]]:
    """One user turn in the form chat templates expect: the image, then the question."""
    return [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
    ]


def render(processor: Any, question: str) -> str:
    """The prompt text up to the point where the model starts to answer, with one image in it.

    Uses the chat template the processor (or its tokenizer) carries. A processor without one, as
    BLIP-2 and PaliGemma have, gets its image token (unless the processor places it itself)
    followed by the question, which is how those models were trained.
    """
    if has_chat_template(processor):
        return str(
            processor.apply_chat_template(
                conversation(question), tokenize=False, add_generation_prompt=True
            )
        )
    return f"{question}\n"


def has_chat_template(processor: Any) -> bool:
    """Whether `processor` can lay out a conversation itself."""
    tokenizer = getattr(processor, "tokenizer", None)
    return bool(
        getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
    )


def continuation(processor: Any, question: str, phrase: str) -> str:
    """The text a model of this template writes after `render` when it answers `phrase`.

    Most templates put a space between the prompt and the reply, some do not: the template is asked,
    by letting it lay out the finished conversation. Where it does not simply go on from the prompt
    a space is set unless the prompt ends with one.
    """
    prompt = render(processor, question)
    if has_chat_template(processor):
        reply = {"role": "assistant", "content": [{"type": "text", "text": phrase}]}
        turns = [*conversation(question), reply]
        whole = str(processor.apply_chat_template(turns, tokenize=False))
        if whole.startswith(prompt) and phrase in whole[len(prompt) :]:
            rest = whole[len(prompt) :]
            return rest[: rest.index(phrase) + len(phrase)]
    return phrase if prompt[-1:].isspace() else f" {phrase}"


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


def phrase_tokens(processor: Any, question: str, phrase: str) -> list[int]:
    """The token ids of `phrase` as it continues the prompt: never empty.

    What the tokenizer adds for the reply when it reads prompt and reply as one text; where that
    would change the prompt's own last token, the reply is tokenised by itself.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    prompt = render(processor, question)
    reply = continuation(processor, question, phrase)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    whole = tokenizer(prompt + reply, add_special_tokens=False)["input_ids"]
    if whole[: len(before)] == before and len(whole) > len(before):
        return list(whole[len(before) :])
    alone = tokenizer(reply, add_special_tokens=False)["input_ids"]
    if not alone:
        raise LayerhouseError(f"the class phrase {phrase!r} has no tokens in this model")
    return list(alone)
