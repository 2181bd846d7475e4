"""Scoring on the shared prompt equals scoring every phrase by itself, whatever the model."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from extract.answering import generating, scoring as answers
from extract.answering.continuing import Prompted, cache_of
from extract.answering.generating import generate, replies_of
from extract.answering.phrases import ended
from extract.answering.scoring import prior_of, score_phrases
from extract.faults.donors import DonorBatch
from extract.faults.effects import DonorFault, StruckBatch
from extract.faults.injector import Injector
from extract.faults.spec import parse_fault
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, render, special_tokens, unseeing_tokens
from tests.extract.sessions import PHRASES, Opened, slow_scores
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
    monkeypatch.setattr(answers, "tree_logits", lambda *_: pytest.fail("a needless pass"))
    scores = score_phrases(llava.session, _prompted(llava), [[5], [6]])
    assert scores.shape == (2, 2)


@pytest.mark.parametrize("bound", ["SCORING_BYTES", "MOST_NODES"])
def test_scoring_in_parts_changes_nothing(
    bound: str, llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrases = [[i, i + 1, i + 2] for i in range(5, 12)]
    whole = score_phrases(llava.session, _prompted(llava), phrases)
    monkeypatch.setattr(answers, bound, 1)
    np.testing.assert_allclose(
        score_phrases(llava.session, _prompted(llava), phrases), whole, atol=1e-4
    )


def test_what_phrases_share_is_computed_once_in_one_pass(llava: Opened) -> None:
    phrases = [[5, 6, 7], [5, 6, 8], [5, 9], [4, 6, 7]]
    prompted, passes = _prompted(llava), []
    handle = llava.session.model.register_forward_pre_hook(
        lambda _, __, given: passes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    try:
        as_tree = score_phrases(llava.session, prompted, phrases)
    finally:
        handle.remove()
    assert passes == [(2, 4)]  # 5, 5 6, 4, 4 6
    in_rows = replace(llava.session, branches=False)
    np.testing.assert_allclose(as_tree, score_phrases(in_rows, prompted, phrases), atol=1e-4)


def test_a_reply_that_scoring_foresaw_is_not_run_again(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = generate(llava.session, _prompted(llava), 8)
    said, other = (reply.tolist() for reply in replies)
    assert said != other
    prompted = _prompted(llava)
    score_phrases(llava.session, prompted, [[*said, 5], [7, 8]])
    alone = copy(prompted)  # of two replies one is known
    assert torch.equal(generate(llava.session, alone, 8), replies)
    score_phrases(llava.session, prompted, [[*said, 5], [*other, 5]])
    monkeypatch.setattr(generating, "step", lambda *_: pytest.fail("a needless step"))
    assert torch.equal(generate(llava.session, prompted, 8), replies)


def test_a_prior_is_the_likelihood_without_an_image(llava: Opened) -> None:
    session, phrases = llava.session, ended(llava.phrases, llava.session.end_token)
    processor = session.loaded.processor
    text = render(processor, build_prompt(PHRASES), image=False)
    assert "<image>" in render(processor, build_prompt(PHRASES))
    assert "<image>" not in text
    ids = processor.tokenizer(text, **special_tokens(processor, text))["input_ids"]
    seeing = session.encode(llava.pictures[:1])
    prior = prior_of(
        session, unseeing_tokens(processor, Wording(build_prompt(PHRASES))), seeing, phrases
    )
    for phrase, found in zip(phrases, prior or (), strict=True):
        whole = torch.tensor([[*ids, *phrase]])
        with torch.inference_mode():
            logits = session.model(input_ids=whole).logits[0, -len(phrase) - 1 : -1].float()
        said = torch.log_softmax(logits, dim=-1)[range(len(phrase)), phrase]
        assert found == pytest.approx(float(said.sum()), abs=1e-3)


def test_a_model_that_takes_no_prompt_without_an_image_has_no_prior(llava: Opened) -> None:
    assert prior_of(llava.session, [10**6], {}, llava.phrases) is None


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
