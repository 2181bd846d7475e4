"""A prompt that was joined with others goes on as it does alone, to the rounding of its numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from extract.answering.continuing import Prompted, cache_of, step
from extract.answering.joining import HeldPrompt, hold, joined
from extract.models.session import Session
from tests.extract.anatomy.test_families import EVERY_WAY
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import opened
from tests.extract.tiny_families import picture

BATCHES = (
    [picture(100, 80, 1), picture(100, 80, 2)],
    [picture(64, 90, 3)],
    [picture(100, 80, 4)],
)
TOKENS = (7, 11, 5)
APART = ("mllama", "qwen3_5", "minicpmv4_6")
"""Cross-attention and linear attention keep more than keys and values."""


def _held(session: Session) -> list[HeldPrompt] | None:
    """The prompts of all batches; None where they may not be joined."""
    found = []
    for batch in BATCHES:
        inputs = session.on_device(session.encode(batch))
        output = session.forward(inputs, keep_cache=True)
        prompted = Prompted(inputs, session.last_logits(output), cache_of(output))
        found.append(hold(session, prompted))
    held = [one for one in found if one is not None]
    return held if len(held) == len(found) else None


def _continued(session: Session, prompted: Prompted) -> Tensor:
    """Logits (n, tokens, vocabulary) of the prompt's own and after each of `TOKENS`."""
    device = prompted.logits.device
    rows, each = torch.arange(prompted.n, device=device), [prompted.logits]
    for already, token in enumerate(TOKENS):
        new = torch.full((prompted.n, 1), token, device=device)
        each.append(step(session, prompted, prompted.cache, rows, new, already)[:, -1])
    return torch.stack(each, dim=1)


def _alone(session: Session, one: HeldPrompt) -> Tensor:
    if one.deltas is not None:
        session.position_keeper.rope_deltas = one.deltas
    return _continued(session, one.prompted)


@pytest.mark.parametrize("family", EVERY_WAY)
@torch.inference_mode()
def test_joined_prompts_go_on_as_each_alone(family: str, family_folder: FamilyFolders) -> None:
    session = opened(family_folder(family)).session
    held = _held(session)
    if held is None or not session.continues:
        assert family in APART or not session.continues
        return
    likenesses = [one.likeness for one in held]
    alone = [_alone(session, one) for one in held]
    again = _held(session)
    assert again is not None
    for likeness in set(likenesses):
        alike = [place for place, other in enumerate(likenesses) if other == likeness]
        together = _continued(session, joined(session, [again[place] for place in alike]))
        expected = torch.cat([alone[place] for place in alike])
        torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-4)
    assert len(set(likenesses)) < len(held)
