"""The weights of a stage are found in every family, and are those that its stage runs on."""

from __future__ import annotations

import pytest
import torch

from extract.anatomy.weights import stage_weights
from extract.faults.damaging import change_weights
from extract.faults.spec import parse_fault
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import FAMILIES
from warehouse.errors import UsageError
from warehouse.vocabulary import ANSWER, CONNECTOR, LLM, STAGES, VISION

QUICK = ("llava", "qwen3_vl")
"""One with a projector behind its tower, one with mergers inside of it."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in FAMILIES
        if name != "florence2"  # not understood, and refused
    ],
)
def opened_family(request: pytest.FixtureRequest, family_folder: FamilyFolders) -> Opened:
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="transformers' SmolVLM processor needs num2words")
    return opened(family_folder(request.param), stages=())


def test_no_weight_is_of_two_stages_and_a_block_is_part_of_its_stage(llava: Opened) -> None:
    model, anatomy = llava.session.model, llava.session.anatomy
    found = {stage: stage_weights(model, anatomy, stage) for stage in STAGES}
    names = [name for weights in found.values() for name in weights]
    assert len(names) == len(set(names))
    assert {name.split(".")[1] for name in found[CONNECTOR]} == {"multi_modal_projector"}
    assert list(found[ANSWER]) == ["lm_head.weight"]
    block = stage_weights(model, anatomy, LLM, 1)
    assert block.keys() < found[LLM].keys()
    assert all(".layers.1." in name for name in block)


@pytest.mark.parametrize(
    "fault",
    [
        *(f"damage@{stage}:1" for stage in STAGES),
        *(f"lowrank@{stage}:1" for stage in (VISION, CONNECTOR, LLM)),
    ],
)
def test_damage_reaches_the_answer_and_training_reaches_what_was_damaged(
    opened_family: Opened, fault: str
) -> None:
    session = opened_family.session
    model, anatomy = session.model, session.anatomy
    struck_by = parse_fault(fault)
    weights = stage_weights(model, anatomy, struck_by.stage)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    tied = model.get_submodule(anatomy.head).weight
    inputs = session.on_device(session.encode(opened_family.pictures))
    healthy = session.last_logits(session.forward(inputs))
    try:
        model.zero_grad(set_to_none=True)
        model(**inputs, use_cache=False).logits[:, -1].float().logsumexp(-1).sum().backward()
        reached = [name for name, weight in weights.items() if weight.grad is not None]
        change_weights([struck_by], model, anatomy, opened_family.phrases)
        struck = session.last_logits(session.forward(inputs))
    finally:
        model.zero_grad(set_to_none=True)
        model.get_submodule(anatomy.head).weight = tied
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(before[name])
    assert reached
    assert not torch.equal(struck, healthy)
    assert torch.equal(session.last_logits(session.forward(inputs)), healthy)


def test_matrices_are_left_with_their_rank_and_fewer_directions_are_some_of_more(
    llava: Opened,
) -> None:
    model, anatomy = llava.session.model, llava.session.anatomy
    weights = stage_weights(model, anatomy, CONNECTOR)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    cut = {}
    try:
        for rank in (3, 1):
            change_weights([parse_fault(f"lowrank@connector:{rank}")], model, anatomy, ())
            cut[rank] = {name: weight.detach().clone() for name, weight in weights.items()}
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(before[name])
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(before[name])
    for name, weight in before.items():
        if weight.dim() < 2:
            assert torch.equal(cut[1][name], weight)
            continue
        for rank in (3, 1):
            assert torch.linalg.matrix_rank(cut[rank][name]) == rank
        rows = torch.linalg.svd(cut[1][name]).Vh[:1]
        _, _, wide = torch.linalg.svd(cut[3][name])
        assert torch.allclose((rows @ wide[:3].T).norm(), torch.tensor(1.0), atol=1e-4)


@pytest.mark.parametrize("kind", ["damage@connector:1", "lowrank@connector:1"])
def test_a_stage_without_matrices_is_not_struck(kind: str, llava: Opened) -> None:
    model, anatomy = llava.session.model, llava.session.anatomy
    path = "model.multi_modal_projector"
    whole = model.get_submodule(path)
    try:
        model.set_submodule(path, torch.nn.LayerNorm(4))
        before = [weight.clone() for weight in model.parameters()]
        with pytest.raises(UsageError, match="changes nothing: that part of llava has no matrices"):
            change_weights([parse_fault(kind)], model, anatomy, ())
        assert all(map(torch.equal, before, model.parameters()))
    finally:
        model.set_submodule(path, whole)
