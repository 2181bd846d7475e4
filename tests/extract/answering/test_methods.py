"""Every way of answering in the vocabulary has an object that answers."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from extract.answering.continuing import Prompted, cache_of
from extract.answering.methods import ANSWER_METHODS, AskedBatch, Question, method_named
from extract.replies import ClassNames
from extract.replies.parsing import parse_reply
from tests.extract.sessions import PHRASES, Opened
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import METHODS


def _question(model: Opened) -> Question:
    classes = [ClassNames(p, p) for p in PHRASES]
    return Question(classes, model.phrases, letters=False, max_new_tokens=12)


def test_each_method_of_the_vocabulary_has_its_object() -> None:
    assert tuple(ANSWER_METHODS) == METHODS


@pytest.mark.parametrize("name", [*METHODS, "sampled:3x0.7"])
def test_every_method_names_a_class_or_none_for_every_sample(name: str, llava: Opened) -> None:
    session, method = llava.session, method_named(name)
    inputs = session.on_device(session.encode(llava.pictures))
    output = session.forward(inputs, keep_cache=True)
    prompted = Prompted(inputs, session.last_logits(output), cache_of(output))
    said = method.run(AskedBatch(session, _question(llava), ["a", "b"]), prompted)
    assert len(said) == len(llava.pictures)
    answers = method.read(AskedBatch(session, _question(llava), ["a", "b"]), said.numpy())
    if name == "likelihood":
        expected = said.numpy().argmax(axis=1).tolist()
    else:
        names = [ClassNames(phrase, phrase) for phrase in PHRASES]
        expected = [
            parse_reply(answer["text"], names, cut=answer["finish"] == "length")
            for answer in answers
        ]
    assert [answer["predicted"] for answer in answers] == expected


def test_likelihoods_that_are_not_finite_name_their_sample(llava: Opened) -> None:
    said = np.array([[0.0, -1.0, -2.0], [0.0, np.nan, 0.0]])
    with pytest.raises(LayerhouseError, match="sample b are not finite; leave the sample out"):
        ANSWER_METHODS["likelihood"].read(
            AskedBatch(llava.session, _question(llava), ["a", "b"]), said
        )


def test_more_precision_is_advised_where_there_is_more(llava: Opened) -> None:
    loaded = llava.session.loaded
    assert "float32" in replace(loaded, dtype=torch.bfloat16).remedy
    assert "float32" not in loaded.remedy
    on_gpu = replace(loaded, device=torch.device("cuda"))
    assert on_gpu.remedy.startswith("try --device cpu")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("name", ["generate", "sampled:3x0.7"])
def test_replies_of_logits_that_are_not_finite_name_their_sample(
    name: str, cached: bool, bad: float, llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first token on, or from a later one: never what argmax makes of them."""
    session, method = llava.session, method_named(name)
    monkeypatch.setattr(session.model.generation_config, "eos_token_id", None)
    session = replace(session)
    inputs = session.on_device(session.encode(llava.pictures))
    output = session.forward(inputs, keep_cache=True)

    def asked() -> Prompted:
        cache = copy.deepcopy(cache_of(output)) if cached else None
        return Prompted(inputs, session.last_logits(output).clone(), cache)

    def read(prompted: Prompted) -> None:
        said = method.run(AskedBatch(session, _question(llava), ["a", "b"]), prompted)
        method.read(AskedBatch(session, _question(llava), ["a", "b"]), said.numpy())

    read(asked())
    prompted = asked()
    prompted.logits[1, 7] = bad
    with pytest.raises(LayerhouseError, match="the reply to sample b are not finite"):
        read(prompted)
    head = session.model.get_output_embeddings()
    plain, seen = head.forward, []

    def failing(states: torch.Tensor) -> torch.Tensor:
        seen.append(states)
        return plain(states) if len(seen) < 3 else plain(states) * bad

    monkeypatch.setattr(head, "forward", failing)
    with pytest.raises(LayerhouseError, match="the reply to sample a are not finite"):
        read(asked())
