"""Scoring on the shared prompt equals scoring every phrase by itself, whatever the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from extract.answering import scoring as answers
from extract.answering.continuing import Prompted, cache_of
from extract.answering.generating import generate, replies_of
from extract.answering.scoring import score_phrases
from extract.faults.donors import DonorBatch
from extract.faults.effects import DonorFault, StruckBatch
from extract.faults.injector import Injector
from extract.faults.spec import parse_fault
from tests.extract.sessions import Opened, slow_scores
from tests.extract.tiny_families import picture


def _prompted(model: Opened, *, cached: bool = True) -> Prompted:
    session = model.session
    inputs = session.on_device(session.encode(model.pictures))
    output = session.forward(inputs, keep_cache=cached)
    return Prompted(inputs, session.last_logits(output), cache_of(output) if cached else None)


def _replies(model: Opened, prompted: Prompted) -> list[str]:
    tokens = generate(model.session, prompted, 6).numpy()
    return [reply.text for reply in replies_of(model.session, tokens) if reply is not None]


def test_a_score_is_the_sum_over_all_tokens_of_a_phrase(llava: Opened) -> None:
    phrases = [[5], [5, 6], [7, 8, 9], [7, 8, 9, 10, 11]]
    scores = score_phrases(llava.session, _prompted(llava), phrases)
    assert scores.dtype == torch.float32
    for row, image in zip(scores, llava.pictures, strict=True):
        np.testing.assert_allclose(row, slow_scores(llava.session, image, phrases), atol=1e-3)
    assert (scores[:, 1] < scores[:, 0]).all()


def test_single_token_phrases_need_no_second_pass(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_continuations", lambda *_: pytest.fail("a needless pass"))
    scores = score_phrases(llava.session, _prompted(llava), [[5], [6]])
    assert scores.shape == (2, 2)


def test_scoring_in_parts_changes_nothing(llava: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    phrases = [[i, i + 1, i + 2] for i in range(5, 12)]
    whole = score_phrases(llava.session, _prompted(llava), phrases)
    monkeypatch.setattr(answers, "SCORING_BYTES", 1)
    np.testing.assert_allclose(
        score_phrases(llava.session, _prompted(llava), phrases), whole, atol=1e-4
    )


def test_scoring_leaves_the_cache_for_generation(llava: Opened) -> None:
    fresh = _replies(llava, _prompted(llava))
    prompted = _prompted(llava)
    score_phrases(llava.session, prompted, llava.phrases)
    score_phrases(llava.session, prompted, llava.phrases)
    assert _replies(llava, prompted) == fresh


def test_without_a_cache_answers_are_the_same(llava: Opened) -> None:
    cached, full = _prompted(llava), _prompted(llava, cached=False)
    np.testing.assert_allclose(
        score_phrases(llava.session, cached, llava.phrases),
        score_phrases(llava.session, full, llava.phrases),
        atol=1e-3,
    )
    assert _replies(llava, cached) == _replies(llava, full)


@pytest.mark.parametrize(
    "spec",
    ["swap@vision", "swap@connector", "swap@llm.1", "noise@llm.2:1", "head@answer", "block@llm"],
)
def test_faults_strike_answers_with_and_without_a_cache_alike(llava: Opened, spec: str) -> None:
    session, shown = llava.session, llava.pictures
    facts = session.facts(session.encode(shown))
    donors = DonorBatch(range(2), session.encode([picture(100, 80, 7), picture(64, 90, 8)]))
    fault = parse_fault(spec)
    taken = {str(fault): donors} if isinstance(fault.kind, DonorFault) else {}
    healthy = score_phrases(session, _prompted(llava), llava.phrases)
    injector = Injector(session, [fault], llava.phrases)
    scores: list[Any] = []
    with injector.attached(), injector.striking(StruckBatch(facts, ["a", "b"], taken)):
        for cached in (True, False):
            scores.append(score_phrases(session, _prompted(llava, cached=cached), llava.phrases))
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)
    assert not np.allclose(scores[0], healthy, atol=2e-3)
