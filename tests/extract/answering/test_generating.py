"""Replies are those of transformers' greedy generation, in batches that the finished leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from extract.answering import generating
from extract.answering.continuing import Prompted, cache_of, selected, step
from extract.answering.generating import generate, overridden_settings, replies_of, unending
from extract.answering.repeating import in_prompt
from extract.answering.scoring import score_phrases
from extract.faults.effects import StruckBatch
from extract.faults.injector import Injector
from extract.faults.spec import parse_fault
from extract.models.registry import registry
from extract.models.session import Session
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import picture
from warehouse.errors import LayerhouseError

BUDGET = 10
FAMILIES = (
    "llava",
    "qwen2_vl",  # positions by row and column
    "qwen3_5",  # linear attention: states in the place of keys and values
    "gemma3",  # sliding windows
    "mllama",  # cross-attention
    "instructblip",  # the language model alone goes on
)
MONOTONOUS = ("gemma3", "mllama")
"""Their random weights say the same of every picture."""


def _prompted(session: Session, pictures: list[Any], *, cached: bool = True) -> Prompted:
    inputs = session.encode(pictures)
    on_device = session.on_device(inputs)
    output = session.forward(on_device, keep_cache=cached)
    cache = cache_of(output) if cached else None
    return Prompted(on_device, session.last_logits(output), cache, session.facts(inputs))


def _unequal(session: Session, pictures: list[Any], monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session with a stop token that ends the replies to these pictures at several places."""
    settings = session.model.generation_config
    monkeypatch.setattr(settings, "eos_token_id", None)
    endless = generate(replace(session), _prompted(session, pictures), BUDGET).tolist()

    def n_lengths(token: int) -> int:
        return len({[*row, token].index(token) for row in endless})

    said = sorted({token for row in endless for token in row})
    monkeypatch.setattr(settings, "eos_token_id", max(said, key=n_lengths))
    return replace(session)


def _penalised(session: Session, penalty: float) -> Session:
    """The session of a model whose authors put a penalty on repeated tokens."""
    entry = replace(registry()["huatuogpt-vision-7b"], repetition_penalty=penalty)
    loaded = session.loaded
    return replace(session, loaded=replace(loaded, source=replace(loaded.source, entry=entry)))


def _of_transformers(session: Session, image: Any) -> list[int]:
    inputs = session.on_device(session.encode([image]))
    with torch.inference_mode():
        tokens = session.model.generate(
            **inputs,
            max_new_tokens=BUDGET,
            do_sample=False,
            repetition_penalty=session.repetition_penalty,
            eos_token_id=list(session.stop_tokens),
            pad_token_id=session.stop_tokens[0],
        )[0]
    start = inputs["input_ids"].shape[1]
    given = tokens[:start].tolist() == inputs["input_ids"][0].tolist()
    return list(tokens[start:].tolist() if given else tokens.tolist())


def _whole(session: Session, tokens: torch.Tensor) -> list[list[int]]:
    """The tokens of each reply, its stop token included."""
    replies = replies_of(session, tokens.numpy())
    found = zip(tokens.tolist(), replies, strict=True)
    return [row[: reply.n_tokens] for row, reply in found if reply is not None]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_says_what_transformers_says_one_by_one(
    family: str, family_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(family_folder(family))
    shown = [picture(100, 80, seed=seed) for seed in range(6 if model.checked.batching else 1)]
    session = _unequal(model.session, shown, monkeypatch)
    said = _whole(session, generate(session, _prompted(session, shown), BUDGET))
    expected = [_of_transformers(session, image) for image in shown]
    assert said == expected
    if len(shown) > 1 and family not in MONOTONOUS:
        assert len({len(reply) for reply in said}) > 1


@pytest.mark.parametrize("cached", [True, False])
def test_a_penalty_on_repetition_is_that_of_transformers(
    cached: bool, llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(4)]
    plain = _unequal(llava.session, shown, monkeypatch)
    session = _penalised(plain, 2.0)
    said = _whole(session, generate(session, _prompted(session, shown, cached=cached), BUDGET))
    assert said == [_of_transformers(session, image) for image in shown]
    assert said != _whole(plain, generate(plain, _prompted(plain, shown), BUDGET))


def test_what_scoring_foresaw_is_not_said_where_repetition_is_penalised(llava: Opened) -> None:
    session, shown = _penalised(llava.session, 2.0), [picture(100, 80, seed=0)]
    expected = _whole(session, generate(session, _prompted(session, shown), BUDGET))
    prompted = _prompted(session, shown)
    score_phrases(
        session,
        prompted,
        [llava.phrases[0], generate(llava.session, _prompted(session, shown), BUDGET)[0].tolist()],
    )
    assert _whole(session, generate(session, prompted, BUDGET)) == expected


def test_padding_is_no_repetition() -> None:
    inputs = {
        "input_ids": torch.tensor([[3, 3, 5, 900], [4, 5, 6, 7]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]),
    }
    said = in_prompt(Prompted(inputs, torch.zeros(2, 10), None))
    assert [row.nonzero()[:, 0].tolist() for row in said] == [[5], [4, 5, 6, 7]]


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_go_on_alike_whoever_is_with_them(
    family: str, family_folder: Callable[[str], Path]
) -> None:
    model = opened(family_folder(family))
    session, shown = model.session, [picture(100, 80, seed=seed) for seed in range(3)]
    if not model.checked.batching:
        pytest.skip("its images run one by one")
    prompted = _prompted(session, shown)
    tokens = torch.tensor([[65], [66], [67]])
    some = torch.tensor([2, 0])
    with torch.inference_mode():
        few = step(session, prompted, selected(prompted.cache, some), some, tokens[some], 0)
        every = step(session, prompted, prompted.cache, torch.arange(3), tokens, 0)
    assert not torch.allclose(every[0], every[2], atol=1e-2)
    torch.testing.assert_close(few, every[some], atol=1e-3, rtol=1e-3)


def test_the_finished_leave_the_batch(llava: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(4)]
    session = _unequal(llava.session, shown, monkeypatch)
    sizes: list[int] = []

    def counted(*args: Any) -> Any:
        sizes.append(len(args[3]))
        return step(*args)

    monkeypatch.setattr(generating, "step", counted)
    tokens = generate(session, _prompted(session, shown), BUDGET)
    lengths = [len(reply) for reply in _whole(session, tokens)]
    assert sizes == [sum(n > place for n in lengths) for place in range(1, max(lengths))]
    assert sizes[-1] < 4


def test_replies_wait_where_memory_does_not_hold_all(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(4)]
    session = _unequal(llava.session, shown, monkeypatch)
    at_once = _whole(session, generate(session, _prompted(session, shown), BUDGET))
    monkeypatch.setattr(generating, "GENERATION_BYTES", 1)
    assert _whole(session, generate(session, _prompted(session, shown), BUDGET)) == at_once


def test_without_a_cache_replies_are_the_same(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _unequal(llava.session, llava.pictures, monkeypatch)
    said = [
        _whole(
            session, generate(session, _prompted(session, llava.pictures, cached=cached), BUDGET)
        )
        for cached in (True, False)
    ]
    assert said[0] == said[1]


def test_a_fault_goes_on_striking_the_samples_that_are_left(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(3)]
    session = _unequal(llava.session, shown, monkeypatch)
    injector = Injector(session, [parse_fault("block@llm:0.5")], llava.phrases)

    def struck(names: list[int]) -> list[list[int]]:
        images = [shown[name] for name in names]
        facts = session.facts(session.encode(images))
        with injector.striking(StruckBatch(facts, [str(name) for name in names])):
            prompted = replace(_prompted(session, images), facts=facts)
            return _whole(session, generate(session, prompted, BUDGET))

    with injector.attached():
        alone = [struck([name])[0] for name in range(3)]
        assert struck([0, 1, 2]) == alone


def test_why_a_reply_ended_is_told(llava: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llava.session.model.generation_config, "eos_token_id", [7, 9])
    session = replace(llava.session)
    stop = llava.session.loaded.processor.tokenizer.eos_token_id
    tokens = np.array([[7, 7, 7], [65, 9, 7], [65, 66, stop], [65, 66, 67]])
    replies = [reply for reply in replies_of(session, tokens) if reply is not None]
    assert [(reply.finish, reply.n_tokens) for reply in replies] == [
        ("stop", 1),
        ("stop", 2),
        ("stop", 3),
        ("length", 3),
    ]
    assert [len(reply.raw) > 0 for reply in replies] == [False, True, True, True]


@pytest.mark.parametrize("said", [[9999, 2], [2, -1]])
def test_an_end_that_the_model_cannot_write_is_left_out_and_said(
    llava: Opened, monkeypatch: pytest.MonkeyPatch, said: list[int]
) -> None:
    usual = llava.session.stop_tokens
    assert unending(llava.session) is None
    monkeypatch.setattr(llava.session.model.generation_config, "eos_token_id", said)
    session = replace(llava.session)
    assert set(session.stop_tokens) == {*usual, 2}
    line = unending(session)
    assert line is not None
    beyond = next(token for token in said if token != 2)
    assert line.endswith(f"the model has no token {beyond}, which its files name too")


def _without_ends_of_the_tokenizer(llava: Opened, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("extract.models.session.turn_end", lambda _: None)
    loaded = llava.session.loaded
    silent = SimpleNamespace(tokenizer=SimpleNamespace(eos_token_id=None))
    return replace(llava.session, loaded=replace(loaded, processor=silent))


def test_ends_of_which_the_model_can_write_none_are_refused(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each reply would run on to its budget and count as cut."""
    monkeypatch.setattr(llava.session.model.generation_config, "eos_token_id", 9999)
    session = _without_ends_of_the_tokenizer(llava, monkeypatch)
    with pytest.raises(LayerhouseError, match=r"no reply could end: .* is 9999 by generation"):
        _ = session.stop_tokens


def test_a_model_without_any_end_is_said(llava: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llava.session.model.generation_config, "eos_token_id", None)
    session = _without_ends_of_the_tokenizer(llava, monkeypatch)
    assert session.end_token is None
    assert "no token that ends a reply: each is cut" in str(unending(session))


@pytest.mark.parametrize("said", ["2", 2.0, True, [2, None, "3"]])
def test_an_end_that_is_no_number_is_named(
    llava: Opened, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setattr(llava.session.model.generation_config, "eos_token_id", said)
    with pytest.raises(LayerhouseError, match=r"which is no number of a token; correct"):
        _ = replace(llava.session).stop_tokens


def test_the_turn_of_the_template_ends_a_reply(family_folder: Callable[[str], Path]) -> None:
    session = opened(family_folder("qwen2_vl")).session
    tokenizer = session.loaded.processor.tokenizer
    ends = tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
    assert session.stop_tokens == tuple(ends)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"temperature": 0.2, "top_p": 0.9}, None),  # for sampling, and it does not sample
        ({"do_sample": True, "temperature": 0.2}, "(do_sample True, temperature 0.2)"),
        ({"repetition_penalty": 1.2}, "(repetition_penalty 1.2)"),
        ({"num_beams": 4}, "(num_beams 4)"),
        ({"suppress_tokens": [5, 6]}, "(suppress_tokens [5, 6])"),
        ({"stop_strings": ["."]}, "(stop_strings ['.'])"),
        ({"guidance_scale": 1.5}, "(guidance_scale 1.5)"),
        ({"forced_eos_token_id": 2}, "(forced_eos_token_id 2)"),
    ],
)
def test_settings_that_are_not_greedy_are_named(
    llava: Opened, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setattr(llava.session.model.generation_config, name, value)
    line = overridden_settings(llava.session)
    assert line is None if said is None else line is not None and line.endswith(said)


def test_a_batch_that_hurries_gives_up_its_last_replies(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(8)]
    settings = llava.session.model.generation_config
    monkeypatch.setattr(settings, "eos_token_id", None)
    session = replace(llava.session)
    endless = generate(session, _prompted(session, shown), BUDGET).tolist()

    def n_long(token: int) -> int:
        return sum(token not in row[:-1] for row in endless)

    said = {token for row in endless for token in row}
    end = next(token for token in sorted(said) if 0 < n_long(token) <= 2)
    monkeypatch.setattr(settings, "eos_token_id", end)
    session = replace(llava.session)
    whole = replies_of(session, generate(session, _prompted(session, shown), BUDGET).numpy())
    monkeypatch.setattr(generating, "PATIENCE", 1)
    tokens = generate(session, _prompted(session, shown), BUDGET, hurried=True)
    hurried = replies_of(session, tokens.numpy())
    left = [index for index, reply in enumerate(hurried) if reply is None]
    assert {index for index, row in enumerate(endless) if end not in row[:-1]} <= set(left)
    assert len(left) <= 2
    assert [reply for reply in hurried if reply] == [
        reply for index, reply in enumerate(whole) if index not in left
    ]
