"""Scoring: how likely each class phrase is as the model's reply.

What phrases begin with alike is computed once: all of them hang on the prompt's cache as one tree,
run in one pass. Where a family cannot take such a tree, every phrase is a row on a copy of the
cache; where its cache cannot be continued, a full forward pass.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.answering.branching import takes_a_tree, tree_logits
from extract.answering.continuing import (
    PER_POSITION,
    UNSUPPORTED,
    Prompted,
    bytes_of,
    cache_of,
)
from extract.answering.phrases import PhraseTree
from extract.models import Inputs, Session
from warehouse.errors import LayerhouseError

MOST_NODES = 256
"""Beginnings of phrases that hang on the prompts in one pass: each looks at all of them, which for
many classes costs more than further passes."""
SCORING_BYTES = 2**30
"""Memory one scoring pass may take for its copies of the cache and its logits."""


@torch.inference_mode()
def score_phrases(session: Session, prompted: Prompted, phrases: Sequence[Sequence[int]]) -> Tensor:
    """Log-likelihood of every phrase as the reply: fp32 (n, phrases), on the device.

    The sum over all of a phrase's tokens of log p(token | image, prompt, tokens before it). What
    the model itself would say behind every beginning of a phrase is noted in `prompted.foreseen`.
    """
    prompted.foreseen = {}
    first = torch.log_softmax(prompted.logits, dim=-1)
    scores = first[:, [tokens[0] for tokens in phrases]].clone()
    longer = [index for index, tokens in enumerate(phrases) if len(tokens) > 1]
    longer.sort(key=lambda index: tuple(phrases[index]))  # so that what is shared lies together
    at_once = _phrases_at_once(session, prompted, max(map(len, phrases)))
    for start in range(0, len(longer), at_once):
        chosen = longer[start : start + at_once]
        tree = tree_of(tuple(tuple(phrases[index]) for index in chosen))
        scores[:, chosen] += _rest_of(session, prompted, tree)
    return scores


tree_of = cache(PhraseTree)


def refuse_not_finite(session: Session, scores: NDArray[Any], sample_ids: Sequence[str]) -> None:
    """LayerhouseError naming a sample whose log-likelihoods (n, classes) are not finite."""
    fine = np.isfinite(scores).all(axis=1)
    if not fine.all():
        raise LayerhouseError(
            f"the label likelihoods of sample {sample_ids[int(np.argmin(fine))]} are not "
            f"finite; {session.loaded.remedy}"
        )


@torch.inference_mode()
def prior_of(
    session: Session,
    unseeing: Sequence[int],
    seeing: Inputs,
    phrases: Sequence[Sequence[int]],
) -> list[float] | None:
    """How likely every phrase is as the reply to the same question without an image, in log; None
    where the family takes no prompt without one. `unseeing` are that prompt's tokens, `seeing` the
    inputs of any image.

    Faults that strike samples leave it as it is, those of label tokens show in it.
    """
    asked = [token for token in unseeing if token != session.anatomy.image_token_id]
    tokens = torch.tensor([asked], device=session.loaded.device)
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    for name in PER_POSITION:  # where they mark no image, they mark the prompt as a whole
        if name in seeing and not seeing[name].any():
            inputs[name] = torch.zeros_like(tokens)
    if session.position_keeper is not None:  # it keeps what it found of the last image
        deltas = session.position_keeper.rope_deltas
        session.position_keeper.rope_deltas = torch.zeros_like(deltas[:1])
    try:
        output = session.continuing(**inputs, use_cache=session.continues)
        kept = cache_of(output) if session.continues else None
        prompted = Prompted(inputs, output.logits[:, -1].float(), kept)
        prior = score_phrases(session, prompted, phrases)[0]
    except UNSUPPORTED:
        return None
    return prior.tolist() if prior.isfinite().all() else None


def _phrases_at_once(session: Session, prompted: Prompted, length: int) -> int:
    """How many phrases of this length may be scored together within the memory bound."""
    per_row = 12 * length * prompted.logits.shape[-1]  # logits, their fp32 copy, their softmax
    if not takes_a_tree(session, prompted):
        per_row += bytes_of(prompted.cache) // prompted.n
    fitting = SCORING_BYTES // (per_row * prompted.n)
    return max(min(fitting, MOST_NODES // max(length - 1, 1)), 1)


def _rest_of(session: Session, prompted: Prompted, tree: PhraseTree) -> Tensor:
    """Log-likelihood of all tokens after the first, (n, phrases)."""
    logits = tree_logits(session, prompted, tree).float()
    prompted.foreseen |= dict(zip(tree.nodes, logits.argmax(dim=-1).unbind(1), strict=True))
    nodes, wanted, counted = (part.to(logits.device) for part in _counted(tree))
    picked = logits[:, nodes, wanted] - logits.logsumexp(dim=-1)[:, nodes]
    return (picked * counted).sum(dim=-1)


@cache
def _counted(tree: PhraseTree) -> tuple[Tensor, Tensor, Tensor]:
    """Of every phrase, token by token after the first: the node before it, the token, and whether
    there is one; each (phrases, longest - 1).
    """
    length = max(map(len, tree.phrases)) - 1
    nodes = torch.zeros(len(tree.phrases), length, dtype=torch.long)
    wanted, counted = torch.zeros_like(nodes), torch.zeros_like(nodes, dtype=torch.bool)
    for row, tokens in enumerate(tree.phrases):
        n = len(tokens) - 1
        nodes[row, :n] = torch.tensor(tree.way(tokens[:-1]))
        wanted[row, :n] = torch.tensor(tokens[1:])
        counted[row, :n] = True
    return nodes, wanted, counted
