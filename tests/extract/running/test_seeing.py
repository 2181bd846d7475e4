"""Images are looked at once for several prompts, and every family answers as if it had not been."""

from __future__ import annotations

import pytest
import torch

from extract.models import PromptEntry, load, open_session, render
from extract.models.prompt_entries import Wording
from extract.running.seeing import SeenOnce, find_sees_once
from tests.extract.anatomy.test_families import EVERY_WAY, PHRASES
from tests.extract.conftest import FamilyFolders
from tests.extract.tiny_families import picture

SEES_TEXT = ("instructblip",)
"""The Q-Former reads the question: its tower alone may be seen once."""
ASKED = [PromptEntry("a", "What is it? {options}"), PromptEntry("b", "Answer now: {options}!")]


@pytest.mark.parametrize("family", EVERY_WAY)
def test_a_family_that_sees_a_batch_once_answers_to_the_last_bit_as_before(
    family: str, family_folder: FamilyFolders
) -> None:
    session = open_session(load(str(family_folder(family))), Wording(ASKED[0].question(PHRASES)))
    prompts = [render(session.loaded.processor, entry.question(PHRASES)) for entry in ASKED]
    images = [picture(64, 64), picture(64, 64, seed=1)]
    parts = find_sees_once(session, images, prompts)
    assert parts
    assert (parts == (session.anatomy.tower,)) == (family in SEES_TEXT)
    seen = SeenOnce(session.model, parts)
    for prompt in [*prompts, prompts[0]]:
        inputs = session.on_device(session.encoder_of(prompt)(images))
        with seen.passing():
            told = session.last_logits(session.forward(inputs))
        assert torch.equal(told, session.last_logits(session.forward(inputs)))
    assert seen.n_replayed >= 2


def test_one_prompt_needs_no_memory(family_folder: FamilyFolders) -> None:
    session = open_session(load(str(family_folder("llava"))), Wording(ASKED[0].question(PHRASES)))
    assert find_sees_once(session, [picture(64, 64)], ["one prompt"]) == ()
