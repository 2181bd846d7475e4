"""Scoring: how likely each class phrase is as the model's reply."""

from collections.abc import Sequence

import torch
from torch import Tensor

from extract.answering.continuing import Prompted, bytes_of, full_logits, selected, step
from extract.models import Session

SCORING_BYTES = 2**30
"""Memory one scoring pass may take for its copies of the cache and its logits."""


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
    per_row += bytes_of(prompted.cache) // prompted.n
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
    cache = selected(prompted.cache, rows)
    logits = step(session, prompted, cache, rows, tokens.repeat(n, 1), 0)
    return logits.view(n, k, length, -1)
