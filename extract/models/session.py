"""A session: a loaded model with its loci and the one question it is asked."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from extract.anatomy import Anatomy, BatchFacts, Locus, discover
from extract.models.loading import LoadedModel
from extract.models.processors import Encoder, to_device
from extract.models.prompt_entries import Wording
from extract.models.prompts import render, turn_end
from warehouse.errors import LayerhouseError

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Session:
    """Everything needed to run one model on one dataset's question.

    The self-check fills in what it finds: `readouts`, which readouts each locus (by name) has, and
    `continues`, whether phrases may be scored on the prompt's cache, and `branches`, whether all of
    them in one pass, `first_position`, that of a prompt's first token (for PaliGemma it is 1), and
    `blind`, the loci of the decoder at which the last token has seen nothing of the image yet.
    `vision_exit` is where faults strike at the end of the tower, if that is not its last locus.
    """

    loaded: LoadedModel
    anatomy: Anatomy
    encoder: Encoder
    readouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    continues: bool = True
    branches: bool = True
    first_position: int = 0
    blind: tuple[str, ...] = ()
    vision_exit: Locus | None = None

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def repetition_penalty(self) -> float | None:
        """What the model's authors put on tokens that a reply repeats, if anything."""
        entry = self.loaded.source.entry
        return None if entry is None else entry.repetition_penalty

    def encode(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        """A batch's inputs on the CPU: `input_ids` and `attention_mask` [n, tokens], and images."""
        return self.encoder(images)

    def encoder_of(self, prompt: str) -> Encoder:
        """What encodes images under another prompt."""
        return replace(self.encoder, prompt=prompt)

    def facts(self, inputs: Inputs) -> BatchFacts:
        """The layout of a batch, from its inputs on the CPU."""
        return BatchFacts(inputs, self.anatomy, self.model.config)

    def on_device(self, inputs: Inputs) -> dict[str, Any]:
        return to_device(inputs, self.loaded.device, self.loaded.dtype)

    @torch.inference_mode()
    def forward(self, inputs: Inputs, *, keep_cache: bool = False) -> Any:
        """One forward pass over a batch on the device, computing logits of the last position."""
        return self.model(**inputs, use_cache=keep_cache, **self.logits_of_last(1))

    def last_logits(self, output: Any) -> Tensor:
        """The logits after the last prompt token as fp32 (n, vocabulary)."""
        return output.logits[:, -1].float()

    @cached_property
    def stop_tokens(self) -> tuple[int, ...]:
        """The ids that end a reply, by the model's generation settings, its tokenizer or the chat
        template, which ends the model's turn with one. Those that the model cannot write are none.

        Raises LayerhouseError where it cannot write any of them: no reply would end.
        """
        said = self._said_ends
        found = tuple(token for token in said if 0 <= token < self._n_tokens)
        if said and not found:
            raise LayerhouseError(
                f"no reply could end: the model writes tokens below {self._n_tokens:,}, and what "
                f"ends one is {', '.join(map(str, said))} by generation_config.json and tokenizer; "
                "give it those that it was trained with"
            )
        return found

    @property
    def unwritable_ends(self) -> tuple[int, ...]:
        """The ids that are said to end a reply and that the model cannot write."""
        return tuple(token for token in self._said_ends if token not in self.stop_tokens)

    @cached_property
    def _said_ends(self) -> tuple[int, ...]:
        settings = getattr(self.model, "generation_config", None)
        ends = getattr(settings, "eos_token_id", None)
        processor = self.loaded.processor
        found = ends if isinstance(ends, list | tuple) else [ends]
        if not all(token is None or type(token) is int for token in found):
            raise LayerhouseError(
                f"the eos_token_id of the model's generation settings is {ends!r}, which is no "
                "number of a token; correct generation_config.json"
            )
        told = (*found, processor.tokenizer.eos_token_id, turn_end(processor))
        return tuple(dict.fromkeys(token for token in told if token is not None))

    @cached_property
    def _n_tokens(self) -> int:
        """How many tokens the model chooses from."""
        head = self.model.get_output_embeddings() or self.model.get_input_embeddings()
        return int(getattr(head, "out_features", None) or head.weight.shape[0])

    @cached_property
    def end_token(self) -> int | None:
        """The token that ends a reply: the one that the chat template writes behind it, else the
        tokenizer's, else the first of the generation settings.
        """
        processor = self.loaded.processor
        written = turn_end(processor), processor.tokenizer.eos_token_id
        return next((t for t in (*written, *self.stop_tokens) if t in self.stop_tokens), None)

    def end_of(self, tokens: Sequence[int]) -> int | None:
        """Where a reply's tokens end, None where they were cut before that."""
        return next((n for n, token in enumerate(tokens) if token in self.stop_tokens), None)

    def raw_text(self, tokens: Sequence[int]) -> str:
        """What tokens say, special ones among them."""
        tokenizer = self.loaded.processor.tokenizer
        return str(
            tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    @cached_property
    def continuing(self) -> Any:
        """What takes new tokens on an existing cache."""
        return without_pixels(self.model)

    @cached_property
    def position_keeper(self) -> Any:
        """The module that remembers by how much positions run behind the token count, of each
        sample of the newest batch; None in most families. To be asked once a batch was run.
        """
        modules = self.model.modules()
        return next((m for m in modules if torch.is_tensor(vars(m).get("rope_deltas"))), None)

    def logits_of_last(self, n: int) -> dict[str, int]:
        """What to call the model with, so that it computes logits of its last `n` positions alone;
        nothing where it always computes all.
        """
        return logits_of_last(self.model, n)


def logits_of_last(model: Any, n: int) -> dict[str, int]:
    """What to call a model with, so that it computes logits of its last `n` positions alone;
    nothing where it always computes all.
    """
    return {"logits_to_keep": n} if "logits_to_keep" in _taken_by(model.__class__) else {}


@cache
def _taken_by(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)


def without_pixels(model: Any) -> Any:
    """What of a model takes tokens alone: BLIP-2 as a whole insists on pixels."""
    pixels = inspect.signature(model.forward).parameters.get("pixel_values")
    insists = pixels is not None and pixels.default is pixels.empty
    return model.language_model if insists else model


def open_session(loaded: LoadedModel, wording: Wording) -> Session:
    """A session before its self-check: no readout is known to exist yet."""
    entry = loaded.source.entry
    encoder = Encoder(
        loaded.processor,
        render(loaded.processor, wording),
        entry.preprocessing if entry is not None else {},
    )
    return Session(loaded, anatomy_of(loaded), encoder)


def anatomy_of(loaded: LoadedModel) -> Anatomy:
    """A loaded model's loci, as its plug-in finds them if it has one."""
    find_loci = discover if loaded.plugin is None else loaded.plugin.discover
    return find_loci(loaded.model)
