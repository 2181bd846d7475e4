"""Joining: the prompts of several batches as one, so that their replies go on together.

A step of generation costs a small batch nearly what it costs a large one: most of it is the price
of reading the weights, or of calling the layers. Prompts can be joined where a cache is keys and
values alone, and the new tokens' positions do not depend on the padding in front of the prompts.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from extract.answering.continuing import Prompted, bytes_of
from extract.models import Session

LOOKED_AT = ("input_ids", "attention_mask")
"""The inputs that generation looks at again."""


@dataclass(frozen=True)
class HeldPrompt:
    """A prompt that waits for others: prompts of equal `likeness` may be joined. `deltas` [n, 1]
    are by how much the positions of its samples run behind their tokens, where a model keeps that.
    """

    prompted: Prompted
    likeness: int | None
    deltas: Tensor | None

    @property
    def n(self) -> int:
        return self.prompted.n

    @property
    def n_bytes(self) -> int:
        return bytes_of(self.prompted.cache)


def hold(session: Session, prompted: Prompted) -> HeldPrompt | None:
    """The prompt of the newest batch, which no fault strikes; None where it cannot be joined."""
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache, keeper = prompted.cache, session.position_keeper
    if type(cache) is not DynamicCache or "cross_attention_mask" in prompted.inputs:
        return None
    width = prompted.inputs["attention_mask"].shape[1]
    kinds = {DynamicLayer} if keeper is not None else {DynamicLayer, DynamicSlidingWindowLayer}
    if not all(type(each) in kinds and vars(each)["is_initialized"] for each in cache.layers):
        return None
    inputs = {name: prompted.inputs[name] for name in LOOKED_AT}
    kept = Prompted(inputs, prompted.logits, cache, foreseen=prompted.foreseen)
    if keeper is None:
        return HeldPrompt(kept, width, None)
    # Where a model numbers its tokens row by row, padding in front moves none of them.
    return HeldPrompt(kept, None, keeper.rope_deltas.clone())


def joined(session: Session, held: Sequence[HeldPrompt]) -> Prompted:
    """One prompt of all samples, in order; uses up the caches of those that are joined."""
    prompts = [one.prompted for one in held]
    width = max(prompt.inputs["attention_mask"].shape[1] for prompt in prompts)
    inputs = {
        name: torch.cat([_in_front(prompt.inputs[name], width, 1) for prompt in prompts])
        for name in LOOKED_AT
    }
    deltas = [one.deltas for one in held if one.deltas is not None]
    if deltas:
        session.position_keeper.rope_deltas = torch.cat(deltas)
    shared = set.intersection(*(set(prompt.foreseen) for prompt in prompts))
    foreseen = {said: torch.cat([prompt.foreseen[said] for prompt in prompts]) for said in shared}
    logits = torch.cat([prompt.logits for prompt in prompts])
    return Prompted(inputs, logits, _joined_cache(prompts), foreseen=foreseen)


def _joined_cache(prompts: Sequence[Prompted]) -> Any:
    caches = [prompt.cache for prompt in prompts]
    for prompt in prompts:
        prompt.cache = None
    whole = copy.copy(caches[0])
    whole.layers = []
    for layers in zip(*(cache.layers for cache in caches), strict=True):
        layer = copy.copy(layers[0])
        for name in ("keys", "values"):
            states = [getattr(each, name) for each in layers]
            width = max(each.shape[2] for each in states)
            setattr(layer, name, torch.cat([_in_front(each, width, 2) for each in states]))
            for each in layers:  # of one layer at a time there are two copies, not of all
                setattr(each, name, None)
        whole.layers.append(layer)
    return whole


def _in_front(values: Tensor, width: int, axis: int) -> Tensor:
    """Zeros in front along an axis, up to a width."""
    behind = values.dim() - 1 - axis
    lacking = width - values.shape[axis]
    return pad(values, (0, 0) * behind + (lacking, 0)) if lacking else values
