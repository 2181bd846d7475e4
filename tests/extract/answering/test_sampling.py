"""Draws have the model's own frequencies, and depend on nothing but their seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from extract.answering import generating
from extract.answering.continuing import Prompted, cache_of, full_logits
from extract.answering.generating import generate, sample
from extract.answering.methods import Sampling
from extract.answering.sampling import Chances, seed_of, standing
from extract.models.registry import registry
from extract.models.session import Session
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import picture

FAMILIES = (
    "llava",
    "qwen2_vl",  # positions by row and column
    "qwen3_5",  # linear attention: states in the place of keys and values
    "mllama",  # cross-attention
)
BUDGET = 6
LIKELY = 1e-3
"""A true sampler fails a test of its frequencies this seldom; the seeds are fixed."""


def _prompted(session: Session, pictures: list[Any], *, cached: bool = True) -> Prompted:
    inputs = session.encode(pictures)
    on_device = session.on_device(inputs)
    output = session.forward(on_device, keep_cache=cached)
    cache = cache_of(output) if cached else None
    return Prompted(on_device, session.last_logits(output), cache, session.facts(inputs))


def _seeds(names: str, n_draws: int) -> Tensor:
    return torch.tensor([[seed_of(name, draw) for draw in range(n_draws)] for name in names])


def _p_value(tokens: Tensor, logits: Tensor, temperature: float) -> float:
    """How well tokens agree with the probabilities of logits; rare ones are counted together."""
    expected = torch.softmax(logits.double() / temperature, dim=-1) * len(tokens)
    found = torch.bincount(tokens, minlength=len(expected)).double()
    often = expected >= 5
    if often.all():
        return float(chisquare(found.numpy(), expected.numpy()).pvalue)
    together = [torch.cat([each[often], each[~often].sum()[None]]) for each in (found, expected)]
    return float(chisquare(*(each.numpy() for each in together)).pvalue)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_draws_are_as_frequent_as_the_softmax_says(temperature: float) -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    logits = torch.linspace(-4, 4, 40)[order]
    seeds = torch.tensor([seed_of("a", draw) for draw in range(20_000)])
    for place in (0, 1, 700):
        drawn = Chances(seeds, temperature).drawn(logits.expand(len(seeds), -1), place)
        assert _p_value(drawn, logits, temperature) > LIKELY
        other = Chances(seeds, 1.3 * temperature).drawn(logits.expand(len(seeds), -1), place)
        assert _p_value(other, logits, temperature) < LIKELY  # the test can tell


def test_draws_of_neighbouring_places_and_seeds_do_not_depend_on_each_other() -> None:
    seeds = torch.tensor([seed_of("a", draw) for draw in range(20_000)])
    even = torch.zeros(len(seeds), 4)
    first, second = (Chances(seeds, 1.0).drawn(even, place) for place in (0, 1))
    after = Chances(seeds + 1, 1.0).drawn(even, 0)
    for other in (second, after):
        assert _p_value(4 * first + other, torch.zeros(16), 1.0) > LIKELY


@pytest.mark.parametrize("family", FAMILIES)
def test_a_models_first_and_second_tokens_have_its_own_frequencies(
    family: str, family_folder: Callable[[str], Path]
) -> None:
    session, temperature, n = opened(family_folder(family)).session, 0.05, 1500
    prompted = _prompted(session, [picture(100, 80, seed=1)])
    seeds = torch.tensor([[seed_of("a", draw) for draw in range(n)]])
    said = sample(session, prompted, 2, seeds, temperature)[0]
    assert _p_value(said[:, 0], prompted.logits[0], temperature) > LIKELY
    ends = torch.tensor(session.stop_tokens)
    goes_on = said[~torch.isin(said[:, 0], ends)]
    common = goes_on[:, 0].mode().values
    with torch.inference_mode():
        following = full_logits(session, prompted.inputs, common[None, None])[0, -1].float()
    after = goes_on[goes_on[:, 0] == common][:, 1]
    assert len(after) > 50
    assert _p_value(after, following, temperature) > LIKELY


@pytest.mark.parametrize("family", FAMILIES)
def test_a_draw_is_the_same_whoever_is_with_it(
    family: str, family_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(family_folder(family))
    session, shown = model.session, [picture(100, 80, seed=seed) for seed in range(3)]
    names = "abc" if model.checked.batching else "a"
    shown = shown[: len(names)]
    drawn = sample(session, _prompted(session, shown), BUDGET, _seeds(names, 5), 0.7)
    assert len({tuple(reply) for reply in drawn[0].tolist()}) > 1
    fewer = sample(session, _prompted(session, shown), BUDGET, _seeds(names, 2), 0.7)
    assert torch.equal(fewer, drawn[:, :2, : fewer.shape[2]])
    alone = sample(session, _prompted(session, shown[-1:]), BUDGET, _seeds(names[-1], 5), 0.7)
    assert torch.equal(alone[0], drawn[-1, :, : alone.shape[2]])
    plain = _prompted(session, shown, cached=False)
    assert torch.equal(sample(session, plain, BUDGET, _seeds(names, 5), 0.7), drawn)
    monkeypatch.setattr(generating, "GENERATION_BYTES", 1)  # one by one, and waiting for others
    slow = sample(session, _prompted(session, shown), BUDGET, _seeds(names, 5), 0.7)
    assert torch.equal(slow, drawn)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_greedy_reply_comes_after_draws_as_without_them(
    family: str, family_folder: Callable[[str], Path]
) -> None:
    session, shown = opened(family_folder(family)).session, [picture(100, 80, seed=1)]
    expected = generate(session, _prompted(session, shown), BUDGET)
    prompted = _prompted(session, shown)
    sample(session, prompted, BUDGET, _seeds("a", 3), 1.0)
    assert torch.equal(generate(session, prompted, BUDGET), expected)


def test_the_coldest_draws_are_greedy_also_after_a_penalty(llava: Opened) -> None:
    shown = [picture(100, 80, seed=seed) for seed in range(4)]
    entry = replace(registry()["huatuogpt-vision-7b"], repetition_penalty=2.0)
    loaded = llava.session.loaded
    penalised = replace(
        llava.session, loaded=replace(loaded, source=replace(loaded.source, entry=entry))
    )
    said = []
    for session in (llava.session, penalised):
        drawn = sample(session, _prompted(session, shown), 2 * BUDGET, _seeds("abcd", 2), 1e-4)
        expected = generate(session, _prompted(session, shown), 2 * BUDGET)
        for draw in range(2):
            assert torch.equal(drawn[:, draw], expected)
        said.append(expected)
    assert not torch.equal(*said)


@pytest.mark.parametrize(
    ("drawn", "stands"),
    [
        ([(2, "stop"), (0, "stop"), (0, "stop"), (None, "stop")], 1),
        ([(2, "stop"), (0, "stop"), (0, "stop"), (2, "stop")], 0),  # of equals the first drawn
        ([(None, "stop"), (None, "stop"), (1, "stop")], 2),  # what ended unread has no say
        ([(1, "stop"), (None, "length"), (None, "length")], 1),  # mostly cut
        ([(1, "length"), (1, "stop"), (None, "length")], 0),  # named its class, then was cut
        ([(None, "stop"), (None, "length")], 1),
        ([(None, "stop"), (None, "stop")], 0),
    ],
)
def test_the_first_of_those_that_are_most_stands_for_all_draws(
    drawn: list[tuple[int | None, str]], stands: int
) -> None:
    assert standing(drawn) == stands


def test_a_method_is_known_by_its_name() -> None:
    for method in (Sampling(8, 0.7), Sampling(2, 1.0), Sampling(16, 0.123456789)):
        assert Sampling.named(method.name) == method
    assert Sampling(8, 0.7).name == "sampled:8x0.7"
    assert np.unique([seed_of(name, draw) for name in "ab" for draw in range(9)]).size == 18
