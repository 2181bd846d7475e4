"""The logit lens: what the model would answer if it stopped after each layer of its decoder.

The final norm and the unembedding are applied to the last prompt token's state after every layer
(nostalgebraist 2020, "interpreting GPT: the logit lens"), restricted to one token per class: the
one that tells its phrase from the others, the first wherever first tokens differ. The states are
the readouts `last` that extraction stores anyway, so a lens costs no forward pass.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from extract.anatomy import FINAL_NORM, Locus, watching
from extract.answering import telling_tokens
from extract.models import Inputs, Session
from extract.reading.readouts import FinalToken
from warehouse.vocabulary import LLM

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 1e-1, torch.float16: 2e-2}
"""Largest difference to the model's own log-probabilities, per dtype, that is rounding."""


@dataclass(frozen=True)
class Lens:
    """Reads class log-probabilities from the decoder's states of the last prompt token.

    `norm` is a copy of the model's own without any hook, so that a lens may work beside a forward
    pass; `rows` fp32 (classes, width) and `bias` (classes,) are the unembedding's for the classes'
    tokens; `shape` is what the family does to its logits afterwards; `final` are the layers that
    lie behind the final norm already.
    """

    norm: Callable[[Tensor], Tensor]
    rows: Tensor
    bias: Tensor
    shape: Callable[[Tensor], Tensor]
    final: frozenset[int]
    dtype: torch.dtype

    @torch.inference_mode()
    def __call__(self, layer: int, states: Tensor) -> Tensor:
        """fp32 log-probabilities (n, classes) that sum to one over the classes.

        states: (n, width) after the layer, as any float type, on any device.
        """
        states = states.to(self.rows.device, self.dtype)
        normed = states if layer in self.final else self.norm(states)
        logits = normed.float() @ self.rows.T + self.bias
        return torch.log_softmax(self.shape(logits), dim=-1)


def open_lens(
    session: Session,
    inputs: Inputs,
    phrases: Sequence[Sequence[int]],
    permuted: Mapping[int, int] | None = None,
) -> tuple[Lens | None, str | None]:
    """A lens that reproduces the model's own logits at its last layer, or why there is none.

    `inputs` are one image's, on the CPU; `permuted` says of label tokens whose rows faults
    gave them, which the lens then sees there too.
    """
    family = session.anatomy.model_type
    tokens = telling_tokens(phrases)
    if len(set(tokens)) < len(tokens):
        return None, "no logit lens: no single token tells each class phrase from the others"
    head = session.model.get_submodule(session.anatomy.head)
    if not isinstance(head, nn.Linear):
        return None, f"no logit lens: the unembedding of {family} is no linear layer"
    lens = _matching(session, head, tokens, inputs)
    if lens is None:
        return None, f"no logit lens: {family} does more than a norm before its unembedding"
    permuted = permuted or {}
    rows, bias = _unembedding(head, [permuted.get(token, token) for token in tokens])
    return replace(lens, rows=rows, bias=bias), None


def _matching(session: Session, head: nn.Linear, tokens: list[int], inputs: Inputs) -> Lens | None:
    """The first way of shaping logits that the configuration names and the model's own obey."""
    loci = session.anatomy.of(LLM)
    last, logits = _last_states(session, loci[-2:], inputs)
    wanted = torch.log_softmax(logits[:, tokens], dim=-1)
    final = frozenset(locus.layer for locus in loci if locus.kind == FINAL_NORM)
    norm: Callable[[Tensor], Tensor] = _identity
    if final:
        norm = _without_hooks(session.model.get_submodule(loci[-1].path))
    for shape in _shapes(session.model.config.get_text_config(decoder=True)):
        lens = Lens(norm, *_unembedding(head, tokens), shape, final, session.loaded.dtype)
        reached = [lens(locus.layer, states) for locus, states in last]
        own = reached if final else reached[-1:]
        tolerance = TOLERANCE[session.loaded.dtype]
        if all(torch.allclose(one, wanted, atol=tolerance, rtol=0) for one in own):
            return lens
    return None


def _unembedding(head: nn.Linear, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The rows of the unembedding for some tokens, (tokens, width) and (tokens,), as fp32."""
    rows = head.weight.detach()[list(tokens)].float()
    if head.bias is None:
        return rows, rows.new_zeros(len(rows))
    return rows, head.bias.detach()[list(tokens)].float()


def _last_states(
    session: Session, loci: Sequence[Locus], inputs: Inputs
) -> tuple[list[tuple[Locus, Tensor]], Tensor]:
    """The last prompt token's states (n, width) at some loci, and the model's fp32 logits."""
    states: dict[int, Tensor] = {}

    def note(index: int, found: Tensor) -> None:
        states.setdefault(index, found[:, -1].clone())

    with watching(session.model, loci, note):
        output = session.forward(session.on_device(inputs))
    return [(locus, states[i]) for i, locus in enumerate(loci)], session.last_logits(output)


def _without_hooks(module: nn.Module) -> nn.Module:
    own = copy.deepcopy(module)
    own._forward_hooks.clear()
    own._forward_pre_hooks.clear()
    return own


def _identity(states: Tensor) -> Tensor:
    return states


def _shapes(config: Any) -> list[Callable[[Tensor], Tensor]]:
    """What families do to logits after the unembedding, nothing at all first."""
    found: list[Callable[[Tensor], Tensor]] = [_identity]
    if cap := getattr(config, "final_logit_softcapping", None):
        found.append(lambda logits: cap * torch.tanh(logits / cap))
    if scale := getattr(config, "logit_scale", None):
        found.append(lambda logits: logits * scale)
    if divisor := getattr(config, "logits_scaling", None):
        found.append(lambda logits: logits / divisor)
    return found


def lens_table(lens: Lens, activations: pa.Table) -> pa.Table:
    """Rows of `logit_lens` for a unit's activations: one per decoder layer and sample.

    Only rows of the module llm and the readout `last` are looked at; there may be none.
    """
    last = pc.and_(
        pc.equal(activations["module"], LLM),
        pc.equal(activations["readout"], FinalToken.facts.name),
    )
    rows = activations.filter(last)
    named = rows.select(["model_id", "dataset_id", "layer", "sample_id"])
    logprobs = np.empty((rows.num_rows, len(lens.rows)), dtype=np.float32)
    layers = rows["layer"].to_numpy()
    vectors = rows["vector"]
    for layer in np.unique(layers):
        (places,) = np.nonzero(layers == layer)
        chosen = vectors.take(pa.array(places)).combine_chunks()
        states = np.asarray(chosen.flatten(), dtype=np.float32).reshape(len(places), -1)
        logprobs[places] = lens(int(layer), torch.from_numpy(states.copy())).cpu().numpy()
    ends = np.arange(0, logprobs.size + 1, logprobs.shape[1], dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(logprobs.reshape(-1)))
    predicted = pa.array(logprobs.argmax(axis=1).astype(np.int32))
    return named.append_column("label_logprobs", lists).append_column(
        "predicted_class_index", predicted
    )
