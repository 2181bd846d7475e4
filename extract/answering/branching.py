"""Branching: many phrases behind one prompt, together, whichever way a family allows."""

from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from extract.answering.continuing import Prompted, full_logits, positions_behind, selected, step
from extract.answering.phrases import PhraseTree
from extract.models import Session


def takes_a_tree(session: Session, prompted: Prompted) -> bool:
    """Whether phrases may hang on the prompts as one tree.

    A family that does not say how it numbers positions may count padding or not; where there is
    none it makes no difference.
    """
    known = session.position_keeper is not None or not prompted.is_padded
    return session.branches and prompted.cache is not None and known


def tree_logits(session: Session, prompted: Prompted, tree: PhraseTree) -> Tensor:
    """Logits after every node of a tree behind every sample's prompt: (n, nodes, vocabulary).

    The prompt's own cache stays as it was.
    """
    if takes_a_tree(session, prompted):
        return _in_one_pass(session, prompted, tree)
    length = max(map(len, tree.phrases)) - 1
    rows = torch.zeros(len(tree.phrases), length, dtype=torch.long)
    for row, tokens in enumerate(tree.phrases):
        rows[row, : len(tokens) - 1] = torch.tensor(tokens[:-1])
    logits = _row_by_row(session, prompted, rows.to(prompted.logits.device))
    phrases, tokens = zip(*tree.places(), strict=True)
    return logits[:, list(phrases), list(tokens)]


def _in_one_pass(session: Session, prompted: Prompted, tree: PhraseTree) -> Tensor:
    """Every node sees the prompt and the nodes on its way, and has the position of that length."""
    device, n = prompted.logits.device, prompted.n
    tokens, depths, seen = (part.to(device) for part in _laid_out(tree))
    mask = prompted.inputs["attention_mask"].bool()
    visible = torch.cat(
        [mask[:, None].expand(-1, len(tokens), -1), seen.expand(n, -1, -1)],
        dim=-1,
    )
    dtype = session.loaded.dtype
    closed = torch.zeros(visible.shape, dtype=dtype, device=device)
    closed.masked_fill_(~visible, torch.finfo(dtype).min)
    given: dict[str, Any] = {
        "input_ids": tokens.expand(n, -1),
        "attention_mask": closed[:, None],
        "position_ids": positions_behind(session, mask, depths),
        "past_key_values": selected(prompted.cache),
        "use_cache": True,
    }
    if "cross_attention_mask" in prompted.inputs:
        last = prompted.inputs["cross_attention_mask"][:, -1:]
        given["cross_attention_mask"] = last.expand(-1, len(tokens), *last.shape[2:])
    facts = prompted.facts
    with nullcontext() if facts is None else facts.running(range(n)):
        logits: Tensor = session.continuing(**given).logits
    return logits[:, -len(tokens) :]


@cache
def _laid_out(tree: PhraseTree) -> tuple[Tensor, Tensor, Tensor]:
    """Of every node its token, its depth and the nodes that it sees: [m], [m] and bool (m, m)."""
    ways = tree.ways()
    seen = torch.zeros(len(ways), len(ways), dtype=torch.bool)
    for node, way in enumerate(ways):
        seen[node, way] = True
    tokens = torch.tensor([beginning[-1] for beginning in tree.nodes])
    return tokens, torch.tensor([len(way) for way in ways]), seen


def _row_by_row(session: Session, prompted: Prompted, tokens: Tensor) -> Tensor:
    """Logits after each of `tokens` (k, length) on every sample's prompt: (n, k, length, vocab).

    With a cache, all k continuations of all samples are one batch on copies of it; without, each is
    a full forward pass of the batch.
    """
    n, (k, length) = prompted.n, tokens.shape
    if prompted.cache is None:
        passes = [full_logits(session, prompted.inputs, row.expand(n, -1)) for row in tokens]
        return torch.stack(passes, dim=1)
    rows = torch.arange(n, device=tokens.device).repeat_interleave(k)
    cache = selected(prompted.cache, rows)
    logits = step(session, prompted, cache, rows, tokens.repeat(n, 1), 0)
    return logits.view(n, k, length, -1)
