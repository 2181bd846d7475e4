"""States put into a running model: by hand where they can be followed, and against whole swaps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps

from extract.anatomy import Locus
from extract.answering import Question
from extract.models import load, open_session
from extract.models.prompt_entries import Wording
from extract.patching.donations import Donation, SameNorm
from extract.patching.patcher import Patcher
from extract.patching.sides import Run, Side, attached
from extract.patching.splicing import Splice, adding, putting
from extract.running.preparing import Prepared
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import FAMILIES
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import NO_PATCH_CONTROL

NAMES = ("a", "b")
EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-3, "atol": 1e-3}
"""What two ways through the same layers may differ by."""


def side_of(model: Opened) -> Side:
    session = model.session
    loci = [locus for locus in session.anatomy.loci if locus.on_path]
    return Side(session, Question((), model.phrases, False, 1), Splice(session, loci))


@pytest.fixture(scope="module")
def side(llava: Opened) -> Iterator[Side]:
    found = side_of(llava)
    with attached(found):
        yield found


def inverted(model: Opened) -> list[Image.Image]:
    return [ImageOps.invert(image) for image in model.pictures]


def run(side: Side, images: list[Image.Image]) -> Any:
    return side.running((side.session.encode(images), {}), NAMES[: len(images)])


def named(side: Side, name: str) -> Locus:
    return next(locus for locus in side.session.anatomy.loci if locus.name == name)


def patched(side: Side, receiving: Run, name: str, tokens: str, states: Any) -> torch.Tensor:
    locus = named(side, name)
    return receiving.said({name: putting(receiving.facts, locus, tokens, states[name])})


def test_its_own_states_change_nothing(llava: Opened, side: Side) -> None:
    with run(side, llava.pictures) as one:
        said, states = one.given(side.splice.loci)
        assert torch.equal(said, one.said())
        for locus in side.splice.loci:
            for tokens in ("image", "last", "both"):
                assert torch.equal(patched(side, one, locus.name, tokens, states), said)


def test_all_of_another_image_gives_its_answer(llava: Opened, side: Side) -> None:
    with run(side, inverted(llava)) as other:
        answered, states = other.given(side.splice.loci)
    with run(side, llava.pictures) as one:
        assert not torch.allclose(one.said(), answered, **CLOSE)
        for name in ("vision.0", "vision.1", "connector.0"):
            torch.testing.assert_close(patched(side, one, name, "image", states), answered, **EXACT)
        for name in ("llm.3", "llm.4"):
            first = [phrase[0] for phrase in llava.phrases]
            assert len(set(first)) == len(first)  # so that the last token decides
            last = patched(side, one, name, "last", states)
            assert last.argmax(dim=1).tolist() == answered.argmax(dim=1).tolist()
            torch.testing.assert_close(patched(side, one, name, "image", states), one.said())


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"llava", "florence2"}))
def test_every_family_is_patched_where_it_is_read(
    family: str, family_folder: FamilyFolders
) -> None:
    model = opened(family_folder(family))
    side, session = side_of(model), model.session
    ends = [session.vision_exit or session.anatomy.end("vision"), session.anatomy.end("connector")]
    with attached(side):
        with run(side, inverted(model)) as other:
            answered, states = other.given(side.splice.loci)
        with run(side, model.pictures) as one:
            said, own = one.given(side.splice.loci)
            for locus in side.splice.loci:
                for tokens in ("image", "last", "both") if locus.module == "llm" else ("image",):
                    found = patched(side, one, locus.name, tokens, own)
                    torch.testing.assert_close(found, said, rtol=1e-5, atol=1e-5)
            for end in ends:
                torch.testing.assert_close(
                    patched(side, one, end.name, "image", states), answered, **CLOSE
                )
            for locus in session.anatomy.of("llm"):
                drawn = torch.randn(locus.width, generator=torch.Generator().manual_seed(0))
                along = {"last": drawn / drawn.norm()}
                edit = adding(one.facts, locus, "last", [along, along], 2.0)
                assert ((one.said({locus.name: edit}) - said).abs().amax(dim=1) > 1e-6).all()


def test_only_the_named_tokens_are_replaced(llava: Opened, side: Side) -> None:
    with run(side, inverted(llava)) as other:
        _, given = other.given(side.splice.loci)
    with run(side, llava.pictures) as one:
        _, own = one.given(side.splice.loci)
        facts = one.facts
        for tokens in ("image", "last", "both"):
            put = putting(facts, named(side, "llm.1"), tokens, given["llm.1"])
            for index in range(2):
                mine, theirs = own["llm.1"][0, index], given["llm.1"][0, index]
                prompt = facts.prompt_mask[index]
                image = torch.from_numpy(facts.image_mask[index][prompt])
                last = torch.zeros_like(image)
                last[-1] = True
                chosen = {"image": image, "last": last, "both": image | last}[tokens]
                expected = mine.clone()
                expected[chosen] = theirs[chosen]
                assert torch.equal(put(mine, index, 0), expected)


def test_states_of_another_shape_are_refused(llava: Opened, side: Side) -> None:
    with run(side, llava.pictures) as one:
        _, own = one.given(side.splice.loci)
        put = putting(one.facts, named(side, "llm.1"), "last", own["vision.0"])
        with pytest.raises(
            LayerhouseError, match=r"llm\.1: the donor of sample 0 of the batch has"
        ):
            put(own["llm.1"][0, 0], 0, 0)


def test_what_a_sample_gets_does_not_depend_on_its_batch(llava: Opened, side: Side) -> None:
    """Prompts of two lengths are padded, and noise is of the sample."""

    def effects(pictures: list[Image.Image], names: tuple[str, ...]) -> list[torch.Tensor]:
        own, other = (side.session.encode(p) for p in (pictures, [p.rotate(90) for p in pictures]))
        donors = dict(zip(names, names, strict=True))
        controls = (NO_PATCH_CONTROL, "noise", "other_locus")
        patcher = Patcher(
            side,
            [Donation(side, None, donors, controls, is_other_model=True)],
            {"llm.1": named(side, "llm.2"), "vision.0": named(side, "vision.1")},
        )
        wanted = [
            (named(side, name), tuple(f"{t}/{c}" for t in tokens for c in controls))
            for name, tokens in (("vision.0", ["image"]), ("llm.1", ["image", "last", "both"]))
        ]
        batch, given = (Prepared(names, inputs, {}) for inputs in (own, other))
        found = [effect.patched for effect in patcher.effects(batch, given, wanted)]
        assert patcher.passes == len(names) * (2 + len(found))
        return found

    together = effects(llava.pictures, NAMES)
    for index, name in enumerate(NAMES):
        alone = effects([llava.pictures[index]], (name,))
        for both, one in zip(together, alone, strict=True):
            torch.testing.assert_close(both[index], one[0], **CLOSE)
    assert len({tuple(found[0].tolist()) for found in together}) == len(together)


def test_noise_keeps_every_norm_and_no_direction(llava: Opened, side: Side) -> None:
    with run(side, llava.pictures) as one:
        _, own = one.given(side.splice.loci)
    given = own["llm.1"][0, 0]
    noise = SameNorm()
    made = [noise.change(named(side, at), NAMES)(given, 0, 0) for at in ("llm.1", "llm.2")]
    assert not torch.equal(made[0], made[1])
    for drawn in made:
        torch.testing.assert_close(drawn.norm(dim=1), given.norm(dim=1))
        assert torch.cosine_similarity(drawn, given, dim=1).abs().mean() < 0.3
    again = SameNorm().change(named(side, "llm.1"), NAMES)(given, 0, 0)
    assert torch.equal(again, made[0])


def test_the_hooks_are_gone_afterwards(llava: Opened) -> None:
    model = llava.session.model
    before = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    with attached(side_of(llava)):
        pass
    after = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    assert after == before


def worked(folder: Any) -> Any:
    """A LLaVA whose decoder can be followed by hand: nothing in it acts but the attention of block
    1, which looks at every token of the prompt alike and hands on half of each.
    """
    loaded = load(str(folder))
    blocks = loaded.model.get_decoder().layers
    with torch.no_grad():
        for block in blocks:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
            block.input_layernorm.weight.fill_(1)
        attention = blocks[1].self_attn
        attention.q_proj.weight.zero_()
        width, kept = attention.o_proj.weight.shape[0], attention.v_proj.weight.shape[0]
        attention.v_proj.weight.copy_(torch.eye(width)[:kept] / 2)
        attention.o_proj.weight.copy_(torch.eye(width))
    return loaded


def answer_by_hand(loaded: Any, rows: torch.Tensor) -> torch.Tensor:
    """What that LLaVA answers where these rows enter block 1: (rows, width) → [classes]."""
    attention = loaded.model.get_decoder().layers[1].self_attn
    heads = attention.config.num_attention_heads // attention.config.num_key_value_heads
    normed = rows / (rows.pow(2).mean(dim=1, keepdim=True) + 1e-6).sqrt()
    values = normed.mean(dim=0) @ attention.v_proj.weight.T
    parts = values.view(attention.config.num_key_value_heads, -1)
    last = rows[-1] + parts.repeat_interleave(heads, dim=0).flatten()
    logits = loaded.model.get_output_embeddings()(loaded.model.get_decoder().norm(last))
    return torch.log_softmax(logits[[5, 9, 77]], dim=0)


def test_a_transformer_worked_by_hand(family_folder: FamilyFolders, llava: Opened) -> None:
    """Image tokens reach the answer through block 1 alone, the last token at every place; what is
    put at either follows from sums.
    """
    loaded = worked(family_folder("llava"))
    session = open_session(loaded, Wording("What is it?"))
    loci = [locus for locus in session.anatomy.loci if locus.module == "llm"]
    side = Side(session, Question((), [[5], [9], [77]], False, 1), Splice(session, loci))
    with attached(side):
        with run(side, inverted(llava)[:1]) as other:
            theirs, given = other.given(loci)
        with run(side, llava.pictures[:1]) as one:
            mine, own = one.given(loci)
            image = torch.from_numpy(one.facts.image_mask[0][one.facts.prompt_mask[0]])
            before, after = own["llm.0"][0, 0], given["llm.0"][0, 0]

            by_hand = partial(answer_by_hand, loaded)
            mixed = torch.where(image[:, None], after, before)
            torch.testing.assert_close(mine[0], by_hand(before), **CLOSE)
            torch.testing.assert_close(theirs[0], by_hand(after), **CLOSE)
            told = {
                ("llm.0", "image"): by_hand(mixed),  # the text is the same, so that is all
                ("llm.0", "last"): mine[0],  # where block 0 did nothing, it is the question's own
                ("llm.0", "both"): by_hand(mixed),
                ("llm.1", "image"): mine[0],  # too late: the last token has looked
                ("llm.1", "last"): theirs[0],
                ("llm.1", "both"): theirs[0],
                ("llm.3", "last"): theirs[0],
            }
            for (name, tokens), expected in told.items():
                found = patched(side, one, name, tokens, given)[0]
                torch.testing.assert_close(found, expected, **CLOSE)
            torch.testing.assert_close(by_hand(mixed), theirs[0], **CLOSE)
            assert (mine[0] - theirs[0]).abs().max() > 0.01


def test_what_is_added_is_worked_by_hand(family_folder: FamilyFolders, llava: Opened) -> None:
    """In that LLaVA each state goes the given share of its own norm along the direction of its
    tokens, and what is answered then follows from sums."""
    loaded = worked(family_folder("llava"))
    session = open_session(loaded, Wording("What is it?"))
    loci = [locus for locus in session.anatomy.loci if locus.module == "llm"]
    side = Side(session, Question((), [[5], [9], [77]], False, 1), Splice(session, loci))
    width = loci[0].width
    along = {"image": torch.eye(width)[0], "last": -torch.eye(width)[1]}
    with attached(side), run(side, llava.pictures[:1]) as one:
        mine, own = one.given(loci)
        image = torch.from_numpy(one.facts.image_mask[0][one.facts.prompt_mask[0]])
        rows = own["llm.0"][0, 0]
        moved = {"image": rows.clone(), "last": rows.clone()}
        moved["image"][image, 0] += 2 * rows[image].norm(dim=1)
        moved["last"][-1, 1] -= 2 * rows[-1].norm()
        moved["both"] = torch.where(image[:, None], moved["image"], moved["last"])
        for tokens, expected in moved.items():
            edit = adding(one.facts, named(side, "llm.0"), tokens, [along], 2.0)
            torch.testing.assert_close(edit(rows, 0, 0), expected)
            assert edit(rows, 0, 1) is rows  # what else enters a decoder stays
            said = one.said({"llm.0": edit})[0]
            torch.testing.assert_close(said, answer_by_hand(loaded, expected), **CLOSE)
            assert (said - mine[0]).abs().max() > 0.01
