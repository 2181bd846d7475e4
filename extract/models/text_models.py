"""Text models: models that are to read text and weigh answers to it, with images or without.

A model that takes images is one too. What is refused is what would give numbers that mean nothing:
a model that reads ahead, or one whose answer is not the continuation of what it read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from extract.models.devices import choose_device, choose_dtype
from extract.models.files import failing_as
from extract.models.folders import ADAPTER_CONFIG
from extract.models.preflight import read_tokenizer, refuse_without_tokenizer, unbind_tokenizer
from extract.models.prompt_entries import Wording
from extract.models.prompts import phrase_tokens, prompt_tokens, render, turn_end
from extract.models.quiet import quiet
from extract.models.session import logits_of_last, without_pixels
from extract.models.sources import ModelSource, locate
from extract.models.templates import template_in
from extract.models.weights import load_weights
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

TOKENS_AT_ONCE = 2**14
"""Tokens of one pass."""
PROBE = "What is said here?"


@dataclass(frozen=True)
class TextProcessor:
    """A tokenizer and a chat template, as `extract.models.prompts` asks a processor: turns lose
    their images, and are plain text where the template takes nothing else.
    """

    tokenizer: Any
    chat_template: str | None

    def apply_chat_template(self, turns: Sequence[dict[str, Any]], **options: Any) -> str:
        said = [
            turn | {"content": [part for part in turn["content"] if part["type"] == "text"]}
            for turn in turns
        ]
        if self._takes_plain_text:
            said = [turn | {"content": turn["content"][0]["text"]} for turn in said]
        return self._laid_out(said, **options | {"tokenize": False})

    @cached_property
    def _takes_plain_text(self) -> bool:
        try:
            text = self._laid_out([{"role": "user", "content": PROBE}], tokenize=False)
        except Exception:  # a template raises anything over a turn that it does not know
            return False
        return PROBE in text

    def _laid_out(self, turns: Sequence[dict[str, Any]], **options: Any) -> str:
        return str(
            self.tokenizer.apply_chat_template(turns, chat_template=self.chat_template, **options)
        )


@dataclass(frozen=True)
class TextModel:
    """A model that weighs answers to a text. `context` is how many tokens it reads, if it says."""

    source: ModelSource
    model: Any
    processor: TextProcessor
    context: int | None

    def prompt(self, question: str) -> list[int]:
        """The tokens of a question in one turn, up to where the answer begins."""
        return prompt_tokens(self.processor, render(self.processor, question))

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of answers as they continue a question, with the one that ends a reply."""
        ends = turn_end(self.processor), self.processor.tokenizer.eos_token_id
        end = next((token for token in ends if token is not None), None)
        found = phrase_tokens(self.processor, Wording(PROBE), texts)
        return [tokens if end is None else [*tokens, end] for tokens in found]

    def plain(self, text: str) -> str:
        """A text without what this model's tokenizer would read as its own marks of turns."""
        tokenizer = self.processor.tokenizer
        added = tokenizer.added_tokens_decoder.values()
        marks = {str(token) for token in added if token.special} | {*tokenizer.all_special_tokens}
        for mark in sorted(filter(str.strip, marks), key=len, reverse=True):
            text = text.replace(mark, " ")
        return text

    @torch.inference_mode()
    def weigh(self, prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
        """The log-likelihood of every answer behind a prompt: of all its tokens.

        Rows of one length, padded on the right, where nothing before it can see the padding.
        """
        longest = max(map(len, answers))
        length = len(prompt) + longest - 1
        rows = torch.zeros(len(answers), length, dtype=torch.long)
        seen = torch.zeros_like(rows)
        for row, answer in enumerate(answers):
            whole = [*prompt, *answer[:-1]]
            rows[row, : len(whole)] = torch.tensor(whole)
            seen[row, : len(whole)] = 1
        at_once = max(TOKENS_AT_ONCE // length, 1)
        scores: list[float] = []
        for first in range(0, len(answers), at_once):
            part = slice(first, first + at_once)
            logits = self._logits(rows[part], seen[part], longest).log_softmax(dim=-1)
            for row, answer in zip(logits, answers[part], strict=True):
                picked = row[range(len(answer)), list(answer)]
                scores.append(float(picked.sum()))
        return scores

    def _logits(self, rows: torch.Tensor, seen: torch.Tensor, last: int) -> torch.Tensor:
        """Logits fp32 after each of the last tokens: (n, last, vocabulary), on the CPU."""
        model = without_pixels(self.model)
        device = self.model.device
        given = {"input_ids": rows.to(device), "attention_mask": seen.to(device)}
        output = model(**given, use_cache=False, **logits_of_last(model, last))
        logits: torch.Tensor = output.logits[:, -last:].float().cpu()
        return logits


def load_text_model(name: str, device: str = "auto") -> TextModel:
    """A model that reads text, of a folder or a name, with every weight in its place.

    Raises as `locate` and `load_weights` do, and LayerhouseError for a model that does not write
    what continues a text: an encoder, or one of encoder and decoder.
    """
    _refuse_adapter(Path(name).expanduser())
    source = locate(name)
    where = choose_device(device)
    dtype: torch.dtype = getattr(torch, choose_dtype("auto", where))
    kind = _class_for(source)
    refuse_without_tokenizer(source.folder)
    with quiet():
        model = load_weights(source, dtype, torch.device(where), kind)
        if source.published_quantization is None:
            model = model.to(where)
        with failing_as(f"{source.name} cannot read text"):
            tokenizer = read_tokenizer(source.folder)
            unbind_tokenizer(tokenizer)
            template = template_in(source.folder)
            text = tokenizer.chat_template if template is None else template.text
            reader = TextModel(
                source, model.eval(), TextProcessor(tokenizer, text), _context_of(model.config)
            )
            _refuse_reading_ahead(reader)
    return reader


def _refuse_adapter(folder: Path) -> None:
    config = folder / ADAPTER_CONFIG
    if config.is_file() and not (folder / "config.json").is_file():
        base = read_object(config).get("base_model_name_or_path") or "its base"
        raise LayerhouseError(
            f"{folder} holds an adapter, which reads nothing alone; merge it into {base} with peft "
            "(merge_and_unload, save_pretrained) and give that folder, or give the base"
        )


def _class_for(source: ModelSource) -> str:
    from transformers.models.auto import modeling_auto

    kind = str(source.config.get("model_type"))
    if kind in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return "AutoModelForImageTextToText"
    if source.config.get("is_encoder_decoder") or (
        kind not in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        raise LayerhouseError(
            f"{source.name} is a {kind} model, which does not go on from a text that it reads; "
            "give a model that chats, with images or without"
        )
    return "AutoModelForCausalLM"


def _context_of(config: Any) -> int | None:
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in ("max_position_embeddings", "n_positions"))
    return next((n for n in found if isinstance(n, int) and n > 0), None)


def _refuse_reading_ahead(reader: TextModel) -> None:
    """An encoder's tokens see those behind them: what it says comes next, it has read."""
    tokens = torch.tensor([reader.prompt(PROBE)])
    other = tokens.clone()
    other[0, -1] = (other[0, -1] + 1) % reader.model.get_input_embeddings().num_embeddings
    seen, last = torch.ones_like(tokens), tokens.shape[1]
    with torch.inference_mode():
        one, two = (reader._logits(rows, seen, last)[0, :-1] for rows in (tokens, other))
    if not one.isfinite().all():
        raise LayerhouseError("its logits are not finite")
    if not torch.allclose(one, two, atol=1e-4 * float(one.abs().max())):
        raise LayerhouseError(
            f"{reader.source.name} reads ahead, as encoders do, and does not go on from a text; "
            "give a model that chats, with images or without"
        )
