"""The self-check lets nothing through that would be measured wrongly."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from extract.anatomy.loci import discover
from extract.models.loading import load
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, phrase_tokens
from extract.models.session import Session, open_session
from extract.running import self_check as selfcheck
from extract.running.self_check import check
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import PHRASES, opened
from tests.extract.tiny_families import picture
from warehouse.errors import LayerhouseError

PICTURES = [picture(100, 80, seed=1), picture(64, 90, seed=2)]


@pytest.fixture
def session(llava_folder: Path) -> Session:
    return open_session(load(str(llava_folder)), Wording(build_prompt(PHRASES)))


def _check(session: Session) -> selfcheck.Checked:
    question = build_prompt(PHRASES)
    phrases = phrase_tokens(session.loaded.processor, Wording(question), PHRASES)
    return check(session, PICTURES, phrases)


def test_clip_layers_behind_the_chosen_one_are_marked_off_the_path(session: Session) -> None:
    checked = _check(session)
    off = {locus.name for locus in checked.session.anatomy.loci if not locus.on_path}
    assert off == {"vision.2", "vision.3"}
    assert checked.batching
    assert checked.session.continues
    assert checked.lines == ("off the path to the answer: vision.2, vision.3",)
    assert checked.session.readouts["vision.3"] == ("cls",)
    assert checked.session.readouts["connector.0"] == ("mean", "grid")


def test_a_layer_count_that_differs_from_the_config_is_refused(session: Session) -> None:
    blocks = session.model.model.language_model.layers
    blocks.append(copy.deepcopy(blocks[0]))
    with pytest.raises(LayerhouseError, match="promises 4 llm layers but 5 were found"):
        discover(session.model)


def test_an_image_blind_model_is_refused(session: Session) -> None:
    with torch.no_grad():
        session.model.model.multi_modal_projector.linear_2.weight.zero_()
    with pytest.raises(
        LayerhouseError, match=r"two images: an image and its negative get the same"
    ):
        _check(session)


@pytest.mark.parametrize(
    ("setting", "value", "apart"),
    [("do_rescale", False, "9[0-9][0-9]"), ("rescale_factor", 1 / 255**2, r"0\.0[0-9]+")],
)
def test_pixels_that_are_scaled_twice_or_not_at_all_are_told(
    session: Session, setting: str, value: object, apart: str
) -> None:
    setattr(session.loaded.processor.image_processor, setting, value)
    (told,) = (line for line in _check(session).lines if "pixels are scaled" in line)
    assert re.match(f"black and white lie {apart} apart", told)


def test_a_block_that_runs_twice_is_refused(session: Session) -> None:
    block = session.model.model.language_model.layers[1]
    forward = block.forward

    def twice(*args: Any, **kwargs: Any) -> Any:
        for hook in list(block._forward_hooks.values()):
            hook(block, args, args[0])
        return forward(*args, **kwargs)

    block.forward = twice
    with pytest.raises(LayerhouseError, match=r"hooks: llm\.1 .* ran 2 times, not once"):
        _check(session)


def test_wrong_image_tokens_are_refused(session: Session) -> None:
    wrong = replace(session.anatomy, image_token_id=session.anatomy.image_token_id + 1)
    with pytest.raises(LayerhouseError, match=r"image tokens: "):
        _check(replace(session, anatomy=wrong))


def test_an_image_that_enters_beside_its_tokens_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Session.facts

    def one_less(self: Session, inputs: Any) -> Any:
        found = facts(self, inputs)
        first = found.image_mask.argmax(axis=1)
        found.image_mask[range(len(first)), first] = False
        return found

    monkeypatch.setattr(Session, "facts", one_less)
    with pytest.raises(LayerhouseError, match=r"the image enters at 16 prompt tokens, but only 15"):
        _check(session)


@pytest.mark.parametrize("named", [99_999, 7])
def test_an_image_token_that_the_processor_does_not_write_is_named(
    named: int, session: Session
) -> None:
    session.model.config.image_token_id = named
    anatomy = replace(session.anatomy, image_token_id=named)
    with pytest.raises(LayerhouseError, match=rf"'<image>' .* look for the token {named}; correct"):
        _check(replace(session, anatomy=anatomy))


def test_an_image_token_that_the_tokenizer_has_not_is_named(session: Session) -> None:
    processor = copy.deepcopy(session.loaded.processor)
    processor.image_token = "<picture>"
    loaded = replace(session.loaded, processor=processor)
    anatomy = replace(session.anatomy, image_token_id=99_999)
    with pytest.raises(LayerhouseError, match="'<picture>' for an image, which is no token of its"):
        _check(replace(session, loaded=loaded, anatomy=anatomy))


def test_a_prompt_beyond_the_models_room_is_told(session: Session) -> None:
    session.model.config.get_text_config().max_position_embeddings = 8
    (line,) = [line for line in _check(session).lines if "tokens" in line]
    assert "is longer than the 8 that the model was made for" in line


def test_weights_that_are_not_finite_are_named(session: Session) -> None:
    with torch.no_grad():
        session.model.model.language_model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(LayerhouseError, match=r"weights: .*layers\.1\.mlp\.up_proj\.weight holds"):
        _check(session)


def test_a_family_whose_batches_differ_runs_one_by_one(family_folder: FamilyFolders) -> None:
    """Idefics2 pads images of one batch to a common size, which its tower notices."""
    checked = opened(family_folder("idefics2")).checked
    assert not checked.batching
    assert any("images run one by one" in line for line in checked.lines)


def test_a_cache_that_cannot_be_continued_costs_full_passes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such cache")

    monkeypatch.setattr("extract.answering.branching.selected", broken)
    checked = _check(session)
    assert not checked.session.continues
    assert any("full forward pass each" in line for line in checked.lines)


def test_a_norm_that_runs_again_on_cls_is_read_the_first_time(
    family_folder: FamilyFolders,
) -> None:
    session = opened(family_folder("blip_2")).session
    norm = next(locus for locus in session.anatomy.loci if locus.kind == "post_norm")
    assert norm.calls == 2
    assert session.readouts[norm.name] == ("mean", "cls", "grid")


def test_cross_attention_gives_honest_loci(family_folder: FamilyFolders) -> None:
    session = opened(family_folder("mllama")).session
    assert session.anatomy.crosses
    assert session.readouts["connector.0"] == ("mean", "grid")
    assert session.readouts["llm.0"] == ("last",)


def test_features_that_leave_the_tower_early_move_its_exit(family_folder: FamilyFolders) -> None:
    """Qwen3-VL hands inner blocks' features to the decoder: a swap must strike before them."""
    session = opened(family_folder("qwen3_vl")).session
    assert session.vision_exit is not None
    assert session.vision_exit.layer == 0
    assert session.anatomy.end("vision").layer == 2


def test_of_many_phrases_some_all_over_the_tree_are_scored_in_full_and_the_longest() -> None:
    few = [[1, 2], [3], [1, 4, 5]]
    assert selfcheck._some_of(few, 16) == [0, 1, 2]
    many = [[first, second] for first in range(40) for second in range(25)]
    many[613] = [*many[613], 7, 8]
    for most in (1, 16):
        chosen = selfcheck._some_of(many, most)
        assert 613 in chosen
        assert len({many[index][0] for index in chosen}) >= most
        assert len(chosen) <= most + 1


def test_many_phrases_are_scored_as_quickly_as_few_where_they_equal_full_passes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "SCORED_IN_FULL", 1)
    checked = _check(session).session
    assert checked.continues
    assert checked.branches
    wrong = selfcheck.score_phrases
    monkeypatch.setattr(
        selfcheck,
        "score_phrases",
        lambda session, prompted, phrases: (
            wrong(session, prompted, phrases) + (prompted.cache is not None)
        ),
    )
    checked = _check(session).session
    assert not checked.continues


@pytest.mark.parametrize(
    ("family", "blind"),
    [("mllama", {"llm.0"}), ("gemma3", {"llm.0"}), ("llava", set())],
)
def test_where_the_last_token_is_blind_is_found_and_said(
    family_folder: FamilyFolders, family: str, blind: set[str]
) -> None:
    checked = opened(family_folder(family)).checked
    assert set(checked.session.blind) == blind
    said = [line for line in checked.lines if "has seen nothing of the image yet at" in line]
    assert bool(said) == bool(blind)
