"""Editing: changes a model's activations as it runs, sample by sample.

Every editing hook is registered in front of all others (`prepend=True`): transformers collects
hidden states with hooks of its own, and an edit behind those would show in the readouts but never
reach the answer. All hooks are gone when the `with` block ends.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from extract.anatomy import (
    CROSS_STATES,
    OUTPUT,
    BatchFacts,
    Locus,
    SampleRows,
    TokenMap,
    flatten,
    hidden,
    unflatten,
    with_hidden,
)
from extract.models import Inputs, Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LLM

Edit = Callable[[Tensor, int, int], Tensor]
"""(one sample's rows, its index in the batch, the part of the site) → rows in their place."""


@contextmanager
def editing(
    session: Session,
    site: Locus,
    current: Callable[[], BatchFacts | None],
    edit: Edit,
    every: bool,
) -> Iterator[None]:
    """Apply `edit` at a site to each sample of the current batch, for the length of a `with` block.

    `every` takes all rows of a sample (CLS, text), else only its image tokens are edited; of a
    prompt entering the decoder always only those.
    """

    def after(_: nn.Module, __: Any, output: Any) -> Any:
        facts, states = current(), hidden(output)
        if facts is None or _is_aside(site, states, facts):
            return None
        tokens = facts.token_map(site, tuple(states.shape))
        return with_hidden(output, _edited(states, tokens, edit, 0, every))

    def before(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        facts = current()
        if facts is None or facts.rows is not None:
            return None
        changed = dict(kwargs)
        for number, part in enumerate(decoder_inputs(kwargs, site, facts)):
            whole = every and part.name == CROSS_STATES
            states = _edited(part.states, part.tokens, edit, number, whole)
            changed[part.name] = part.put(changed[part.name], states)
        return args, changed

    if site.reads == OUTPUT:
        handle = session.model.get_submodule(site.path).register_forward_hook(after, prepend=True)
    else:
        decoder = session.model.get_submodule(session.anatomy.decoder)
        handle = decoder.register_forward_pre_hook(before, prepend=True, with_kwargs=True)
    with handle:
        yield


@dataclass(frozen=True)
class DecoderInput:
    """One tensor that carries the image into the decoder: an argument, or an item of a list."""

    name: str
    item: int | None
    states: Tensor
    tokens: TokenMap

    def put(self, argument: Any, states: Tensor) -> Any:
        """The argument with this part replaced by states of its shape."""
        if self.item is None:
            return states
        return [states if i == self.item else old for i, old in enumerate(argument)]


def decoder_inputs(kwargs: Mapping[str, Any], site: Locus, facts: BatchFacts) -> list[DecoderInput]:
    """Everything the decoder is called with that holds rows of the image.

    Its input embeddings at the image tokens; features that Qwen3-VL adds between blocks, packed to
    one row per image token; the states that cross-attention looks at.
    """
    n, positions = facts.image_mask.shape
    counts = facts.image_mask.sum(axis=1)
    found = []
    for name, value in kwargs.items():
        items = list(enumerate(value)) if isinstance(value, list | tuple) else [(None, value)]
        for item, states in items:
            if not isinstance(states, Tensor) or not states.is_floating_point():
                continue
            if name == CROSS_STATES:
                tokens = facts.token_map(site, tuple(states.shape))
            elif states.dim() == 3 and states.shape[0] == n and states.shape[1] >= positions:
                if not counts.sum():
                    continue
                tokens = facts.prompt_map(tuple(states.shape))
            elif states.dim() == 2 and states.shape[0] == counts.sum() > 0:
                tokens = _packed(counts)
            else:
                continue
            found.append(DecoderInput(name, item, states, tokens))
    return found


def _packed(counts: Any) -> TokenMap:
    rows = np.split(np.arange(counts.sum()), np.cumsum(counts)[:-1])
    return TokenMap(int(counts.sum()), tuple(SampleRows(part, part) for part in rows))


def _is_aside(site: Locus, states: Tensor, facts: BatchFacts) -> bool:
    """Whether a module runs on something else than the prompt's image: new tokens, pooled CLS."""
    if site.module == LLM:
        return facts.rows is not None or states.shape[1] < facts.image_mask.shape[1]
    return site.calls > 1 and states.dim() == 2


def _edited(states: Tensor, tokens: TokenMap, edit: Edit, part: int, every: bool) -> Tensor:
    rows = flatten(states).clone()
    for index, sample in enumerate(tokens.samples):
        chosen = sample.every if every or not len(sample.image) else sample.image
        where = torch.from_numpy(chosen).to(rows.device)
        rows[where] = edit(rows[where], index, part)
    return unflatten(rows, states)


def capture(
    session: Session, site: Locus, inputs: Inputs, every: bool = True
) -> list[list[Tensor]]:
    """A site's activations in a forward pass of its own: per part, per sample, (rows, width)."""
    facts = session.facts(inputs)
    taken: dict[int, dict[int, Tensor]] = {}

    def take(rows: Tensor, index: int, part: int) -> Tensor:
        taken.setdefault(part, {})[index] = rows.clone()
        return rows

    with editing(session, site, lambda: facts, take, every):
        session.forward(session.on_device(inputs))
    return [[taken[part][i] for i in sorted(taken[part])] for part in sorted(taken)]


@contextmanager
def permuting(session: Session, permutation: Mapping[int, int]) -> Iterator[None]:
    """Give tokens each other's logits (token → source): rows of the unembedding change places.

    Edits the logits, not the weights: those may be tied to the input embeddings.
    """
    targets = torch.tensor(list(permutation), device=session.loaded.device)
    sources = torch.tensor(list(permutation.values()), device=session.loaded.device)

    def after(_: nn.Module, __: Any, logits: Tensor) -> Tensor:
        changed = logits.clone()
        changed[..., targets] = logits[..., sources]
        return changed

    head = session.model.get_submodule(session.anatomy.head)
    with head.register_forward_hook(after, prepend=True):
        yield


def full_mask(session: Session, block: Locus, states: Tensor, kwargs: Mapping[str, Any]) -> Tensor:
    """A copy of the attention mask a block is called with, written out where it is implied:
    (n, heads or 1, new, positions); states: (n, new, width).
    """
    mask = kwargs.get("attention_mask")
    n, new = states.shape[:2]
    if isinstance(mask, Tensor) and mask.dim() == 4:
        return mask.expand(n, *mask.shape[1:]).clone()
    if mask is not None:
        raise LayerhouseError(
            f"{block.name} takes an attention mask of shape {tuple(mask.shape)}; attention cannot "
            "be blocked there"
        )
    types = getattr(session.model.config.get_text_config(decoder=True), "layer_types", None)
    if types and "linear" in types[block.layer]:
        raise LayerhouseError(f"{block.name} has linear attention, which cannot be blocked")
    cache = kwargs.get("past_key_values")
    before = int(cache.get_seq_length(block.layer)) if cache is not None else 0
    causal = torch.ones(new, before + new, dtype=torch.bool, device=states.device).tril(before)
    return causal.expand(n, 1, -1, -1).clone()
