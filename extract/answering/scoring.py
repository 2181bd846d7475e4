"""Answers: what the model itself says a sample is, by likelihood and by generation.

Both go on from the forward pass over the prompt that the readouts were taken from: its key/value
cache is what the class phrases and the generated tokens are computed against, so the image and the
prompt are run once. Where a family's cache cannot be continued that way (the self-check compares
both ways), every continuation is a full forward pass.
"""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.models import Inputs, Session
from warehouse.errors import LayerhouseError

SCORING_BYTES = 2**30
"""Memory one scoring pass may take for its copies of the cache and its logits."""

MASKS = ("attention_mask", "cross_attention_mask")
# Inputs that speak about single prompt positions; continuing needs them for the new tokens too.
PER_POSITION = ("token_type_ids", "mm_token_type_ids")


@dataclass
class Prompted:
    """A batch after the forward pass over its prompt.

    `inputs` are on the device; `logits` fp32 (n, vocabulary) after the last prompt token; `cache`
    is None where continuations must be run in full.
    """

    inputs: Inputs
    logits: Tensor
    cache: Any

    @property
    def n(self) -> int:
        return int(self.logits.shape[0])


@torch.inference_mode()
def score_phrases(session: Session, prompted: Prompted, phrases: Sequence[Sequence[int]]) -> Tensor:
    """Log-likelihood of every phrase as the reply: fp32 (n, phrases), on the device.

    The sum over all of a phrase's tokens of log p(token | image, prompt, tokens before it); nothing
    is normalised by length, and no end-of-text token is counted.
    """
    first = torch.log_softmax(prompted.logits, dim=-1)
    scores = first[:, [tokens[0] for tokens in phrases]].clone()
    longer = [index for index, tokens in enumerate(phrases) if len(tokens) > 1]
    at_once = _phrases_at_once(prompted, max(map(len, phrases)))
    for start in range(0, len(longer), at_once):
        chosen = longer[start : start + at_once]
        scores[:, chosen] += _rest_of(session, prompted, [phrases[index] for index in chosen])
    return scores


def _phrases_at_once(prompted: Prompted, length: int) -> int:
    """How many phrases of this length may be scored together within the memory bound."""
    per_row = 12 * length * prompted.logits.shape[-1]  # logits, their fp32 copy, their softmax
    for layer in getattr(prompted.cache, "layers", ()):
        for states in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            per_row += states.nbytes // prompted.n if isinstance(states, Tensor) else 0
    return max(SCORING_BYTES // (per_row * prompted.n), 1)


def _rest_of(session: Session, prompted: Prompted, phrases: list[Sequence[int]]) -> Tensor:
    """Log-likelihood of all tokens after the first, (n, phrases)."""
    length = max(map(len, phrases)) - 1
    device = prompted.logits.device
    given = torch.zeros(len(phrases), length, dtype=torch.long, device=device)
    wanted = torch.zeros_like(given)
    counted = torch.zeros_like(given, dtype=torch.bool)
    for row, tokens in enumerate(phrases):
        n = len(tokens) - 1
        given[row, :n] = torch.tensor(tokens[:-1], device=device)
        wanted[row, :n] = torch.tensor(tokens[1:], device=device)
        counted[row, :n] = True
    logits = torch.log_softmax(_continuations(session, prompted, given).float(), dim=-1)
    picked = logits.gather(-1, wanted.expand(prompted.n, -1, -1)[..., None])[..., 0]
    return (picked * counted).sum(dim=-1)


def _continuations(session: Session, prompted: Prompted, tokens: Tensor) -> Tensor:
    """Logits after each of `tokens` (k, length) on every sample's prompt: (n, k, length, vocab).

    With a cache, all k continuations of all samples are one batch on copies of it; without, each is
    a full forward pass of the batch. The prompt's own cache stays as it was.
    """
    n, (k, length) = prompted.n, tokens.shape
    if prompted.cache is None:
        passes = [full_logits(session, prompted.inputs, row.expand(n, -1)) for row in tokens]
        return torch.stack(passes, dim=1)
    rows = torch.arange(n, device=tokens.device).repeat_interleave(k)
    masks = {name: prompted.inputs[name][rows] for name in MASKS if name in prompted.inputs}
    logits = _step(session, masks, _selected(prompted.cache, rows), tokens.repeat(n, 1), 0)
    return logits.view(n, k, length, -1)


def full_logits(session: Session, inputs: Inputs, tokens: Tensor) -> Tensor:
    """Logits after each of `tokens` (n, length) appended to the prompts, without any cache."""
    output = session.model(**appended(inputs, tokens), use_cache=False)
    return output.logits[:, -tokens.shape[1] :]


def cache_of(output: Any) -> Any:
    """The key/value cache of a forward pass; BLIP-2 keeps it with its language model's output."""
    holder = getattr(output, "language_model_outputs", None) or output
    return getattr(holder, "past_key_values", None)


def _step(session: Session, inputs: Inputs, cache: Any, tokens: Tensor, already: int) -> Tensor:
    """Logits after each new token, continuing a cache that holds the prompt and `already` more."""
    length = tokens.shape[1]
    given: dict[str, Any] = {"input_ids": tokens, "past_key_values": cache, "use_cache": True}
    given["attention_mask"] = _extended(inputs["attention_mask"], already + length, 1)
    if "cross_attention_mask" in inputs:
        last = inputs["cross_attention_mask"][:, -1:]
        given["cross_attention_mask"] = last.expand(-1, length, *last.shape[2:])
    given |= _rotary_positions(session.model, given["attention_mask"], length)
    return _continuing(session.model)(**given).logits[:, -length:]


def _continuing(model: Any) -> Any:
    """What takes new tokens on an existing cache: BLIP-2 as a whole insists on pixels."""
    required = [
        name
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.default is parameter.empty and name == "pixel_values"
    ]
    return model.language_model if required else model


def _rotary_positions(model: Any, mask: Tensor, length: int) -> dict[str, Tensor]:
    """Positions of new tokens for models that number image tokens by row and column.

    Such a model remembers by how much its positions run behind the token count, once per sample of
    the prompt's batch.
    """
    holder = next((m for m in model.modules() if torch.is_tensor(vars(m).get("rope_deltas"))), None)
    if holder is None:
        return {}
    delta = holder.rope_deltas.to(mask.device)
    delta = delta.repeat_interleave(mask.shape[0] // delta.shape[0], dim=0)
    positions = (mask.long().cumsum(dim=-1) - 1)[:, -length:] + delta
    return {"position_ids": positions.expand(3, -1, -1)}


@torch.inference_mode()
def generate(session: Session, prompted: Prompted, max_new_tokens: int) -> Tensor:
    """Greedy replies as token ids (n, tokens): the most likely token each time, until the model
    stops; what follows a stop token is one. Uses up the prompt's cache.
    """
    stops = stop_tokens(session)
    inputs = prompted.inputs
    chosen: list[Tensor] = [prompted.logits.argmax(dim=-1)]
    done = torch.isin(chosen[0], stops)
    for step in range(max_new_tokens - 1):
        if bool(done.all()):
            break
        if prompted.cache is not None:
            logits = _step(session, inputs, prompted.cache, chosen[-1][:, None], step)
        else:
            logits = full_logits(session, inputs, torch.stack(chosen, dim=1))
        following = logits[:, -1].float().argmax(dim=-1)
        chosen.append(torch.where(done, stops[0], following))
        done |= torch.isin(chosen[-1], stops)
    return torch.stack(chosen, dim=1)


def stop_tokens(session: Session) -> Tensor:
    """The ids [n ids] that end a reply, from the model's generation settings and its tokenizer."""
    tokenizer = session.loaded.processor.tokenizer
    settings = getattr(session.model, "generation_config", None)
    ends = getattr(settings, "eos_token_id", None)
    found = [ends] if isinstance(ends, int) else list(ends or [])
    if not all(isinstance(token, int) for token in found):
        raise LayerhouseError(f"the eos_token_id of the model's generation settings is {ends!r}")
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in found:
        found.append(tokenizer.eos_token_id)
    return torch.tensor(found or [-1], device=session.loaded.device)


def texts_of(session: Session, tokens: NDArray[np.int64]) -> list[str]:
    """Replies from their token ids (n, tokens), each up to its first stop token."""
    tokenizer = session.loaded.processor.tokenizer
    ends = set(stop_tokens(session).tolist())
    replies = []
    for row in tokens.tolist():
        stop = next((i for i, token in enumerate(row) if token in ends), len(row))
        replies.append(tokenizer.decode(row[:stop], skip_special_tokens=True).strip())
    return replies


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


def _extended(values: Tensor, n_new: int, fill: int) -> Tensor:
    more = values.new_full((values.shape[0], n_new), fill)
    return torch.cat([values, more], dim=1)


def _selected(cache: Any, rows: Tensor) -> Any:
    """A new cache holding the given samples, one row each; the original stays as it was."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in chosen.layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):  # states of linear attention, replaced entry by entry
                setattr(layer, name, dict(value))
    chosen.reorder_cache(rows)
    return chosen
