"""Continuing: new tokens on a prompt that was run, computed against its key/value cache.

Image and prompt are run once, for the readouts; what comes after them, class phrases or a reply, is
computed on copies of the cache or on the cache itself. Where a family's cache cannot be continued
that way (the self-check compares both ways), every continuation is a full forward pass.
"""

import copy
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from extract.anatomy import BatchFacts
from extract.models import Inputs, Session
from warehouse.vocabulary import LLM

# Inputs that speak about single prompt positions; continuing needs them for the new tokens too.
PER_POSITION = ("token_type_ids", "mm_token_type_ids")
UNSUPPORTED = (RuntimeError, ValueError, TypeError, AttributeError, LookupError)
"""What families raise for a way of running them that they do not support."""


@dataclass
class Prompted:
    """A batch after the forward pass over its prompt.

    `inputs` are on the device; `logits` fp32 (n, vocabulary) after the last prompt token; `cache`
    is None where continuations must be run in full. `facts`, the batch's layout, are told which of
    its samples run. `foreseen` are the tokens [n] that the model would say behind some beginnings
    of a reply, as scoring found them.
    """

    inputs: Inputs
    logits: Tensor
    cache: Any
    facts: BatchFacts | None = None
    foreseen: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return int(self.logits.shape[0])

    @cached_property
    def is_padded(self) -> bool:
        """Whether prompts of the batch differ in length."""
        if self.facts is not None:
            return not self.facts.prompt_mask.all()
        return not self.inputs["attention_mask"].all()


def cache_of(output: Any) -> Any:
    """The key/value cache of a forward pass; BLIP-2 keeps it with its language model's output."""
    holder = getattr(output, "language_model_outputs", None) or output
    return getattr(holder, "past_key_values", None)


def run_prompts(
    session: Session, inputs: Inputs, facts: BatchFacts, *, keep_cache: bool
) -> Prompted:
    """A batch's prompts, run once; their cache is kept where that is asked for and of use."""
    keep_cache = keep_cache and session.continues
    output = session.forward(inputs, keep_cache=keep_cache)
    cache = cache_of(output) if keep_cache else None
    return Prompted(inputs, session.last_logits(output), cache, facts)


def step(
    session: Session, prompted: Prompted, cache: Any, rows: Tensor, tokens: Tensor, already: int
) -> Tensor:
    """Logits after each new token (m, length), each row going on from the sample `rows` [m] says.

    The cache has these rows, and holds the prompt and `already` tokens more.
    """
    length, inputs = tokens.shape[1], prompted.inputs
    given: dict[str, Any] = {"input_ids": tokens, "past_key_values": cache, "use_cache": True}
    given["attention_mask"] = _extended(inputs["attention_mask"][rows], already + length, 1)
    if "cross_attention_mask" in inputs:
        last = inputs["cross_attention_mask"][rows, -1:]
        given["cross_attention_mask"] = last.expand(-1, length, *last.shape[2:])
    given |= _rotary_positions(session, given["attention_mask"], rows, length)
    running = nullcontext() if prompted.facts is None else prompted.facts.running(rows.tolist())
    with running:
        return session.continuing(**given).logits[:, -length:]


def full_logits(session: Session, inputs: Inputs, tokens: Tensor) -> Tensor:
    """Logits after each of `tokens` (n, length) appended to the prompts, without any cache."""
    output = session.model(**appended(inputs, tokens), use_cache=False)
    return output.logits[:, -tokens.shape[1] :]


def selected(cache: Any, rows: Tensor | None = None) -> Any:
    """A new cache holding the given samples, one row each, by default all; the original stays as
    it was.
    """
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in chosen.layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):  # states of linear attention, replaced entry by entry
                setattr(layer, name, dict(value))
    if rows is not None:
        chosen.reorder_cache(rows)
    return chosen


def bytes_of(cache: Any) -> int:
    """What the keys and values of a cache take, all rows together."""
    return sum(
        states.nbytes
        for layer in getattr(cache, "layers", ())
        for states in (getattr(layer, "keys", None), getattr(layer, "values", None))
        if isinstance(states, Tensor)
    )


def appended(inputs: Inputs, tokens: Tensor) -> dict[str, Any]:
    """The inputs of a prompt with tokens (n, new) appended on the right, for a whole pass."""
    whole = dict(inputs)
    n_new = tokens.shape[1]
    whole["input_ids"] = torch.cat([inputs["input_ids"], tokens], dim=1)
    whole["attention_mask"] = _extended(inputs["attention_mask"], n_new, 1)
    for name in PER_POSITION:
        if name in inputs:  # all alike: a prefix with full attention, after which a suffix starts
            types = inputs[name]
            whole[name] = _extended(types, n_new, int(not types.any()))
    if "cross_attention_mask" in inputs:
        mask = inputs["cross_attention_mask"]
        more = mask[:, -1:].expand(-1, n_new, *mask.shape[2:])
        whole["cross_attention_mask"] = torch.cat([mask, more], dim=1)
    return whole


def _rotary_positions(
    session: Session, mask: Tensor, rows: Tensor, length: int
) -> dict[str, Tensor]:
    """Positions of new tokens for models that number image tokens by row and column."""
    keeper = session.position_keeper
    if keeper is None:
        return {}
    delta = keeper.rope_deltas.to(mask.device)[rows]
    positions = (mask.long().cumsum(dim=-1) - 1)[:, -length:] + delta
    return {"position_ids": positions.expand(3, -1, -1)}


def placed(session: Session, inputs: Inputs) -> tuple[Session, Tensor]:
    """The session with the position that its model gives a prompt's first token, and the logits
    after the last one of these inputs, which are not padded."""
    found = []

    def note(_: Any, __: Any, given: dict[str, Any]) -> None:
        positions = given.get("position_ids")
        if isinstance(positions, Tensor):
            found.append(int(positions.flatten()[0]))

    block = next(locus for locus in session.anatomy.of(LLM) if locus.is_block)
    module = session.model.get_submodule(block.path)
    with module.register_forward_pre_hook(note, with_kwargs=True):
        logits = session.last_logits(session.forward(inputs))
    return replace(session, first_position=min(found, default=0)), logits


def positions_behind(session: Session, mask: Tensor, depths: Tensor) -> Tensor:
    """Positions of new tokens that are the first, second, … (`depths` [m]) behind their prompts,
    as the model takes them: (n, m), or one of these for each of three axes.
    """
    keeper = session.position_keeper
    if keeper is None:
        behind = session.first_position + mask.shape[1] - 1 + depths
        return behind.expand(len(mask), -1)
    delta = keeper.rope_deltas.to(mask.device)
    positions = mask.long().sum(dim=-1, keepdim=True) - 1 + depths + delta
    return positions.expand(3, -1, -1)


def _extended(values: Tensor, n_new: int, fill: int) -> Tensor:
    more = values.new_full((values.shape[0], n_new), fill)
    return torch.cat([values, more], dim=1)
