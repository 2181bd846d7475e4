"""Faults strike in a running model, sample by sample, and leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ImageOps

from extract.faults.label_tokens import label_permutation
from extract.faults.spec import parse_fault
from tests.extract.sessions import Opened
from warehouse.errors import UsageError


def test_what_a_fault_does_to_a_sample_does_not_depend_on_its_batch(llava: Opened) -> None:
    for spec in ("noise@vision:2", "drop@connector:0.5", "block@llm:0.5"):
        _, together = llava.run([spec])
        for index, name in enumerate("ab"):
            _, alone = llava.run([spec], names=[name], pictures=[llava.pictures[index]])
            for cell, values in alone.items():
                np.testing.assert_allclose(together[cell][index], values[0], rtol=1e-3, atol=1e-4)


def test_seeds_and_names_change_what_is_drawn(llava: Opened) -> None:
    one, _ = llava.run(["noise@vision"])
    other, _ = llava.run(["noise@vision,seed=1"])
    renamed, _ = llava.run(["noise@vision"], names=["c", "d"])
    again, _ = llava.run(["noise@vision"])
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, renamed)


def test_a_full_swap_gives_the_donors_logits_at_every_stage(llava: Opened) -> None:
    donors = [ImageOps.invert(image) for image in llava.pictures]
    expected, _ = llava.run(pictures=donors)
    for stage in ("vision", "connector", "llm", "vision.0", "llm.1"):
        logits, _ = llava.run([f"swap@{stage}"], donors)
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_two_faults_strike_together(llava: Opened) -> None:
    first, _ = llava.run(["noise@vision"])
    second, _ = llava.run(["head@answer"])
    both, _ = llava.run(["noise@vision", "head@answer"])
    assert not torch.equal(both, first)
    assert not torch.equal(both, second)
    tokens = label_permutation([parse_fault("head@answer")], llava.phrases)
    for token, source in tokens.items():
        torch.testing.assert_close(both[:, token], first[:, source])


def test_a_layer_off_the_path_or_out_of_range_cannot_be_struck(llava: Opened) -> None:
    with pytest.raises(UsageError, match="vision has layers 0 to 1 on the path"):
        llava.run(["noise@vision.2"])
    with pytest.raises(UsageError, match="llm has layers 0 to 3"):
        llava.run(["noise@llm.9"])


def test_two_faults_of_the_answer_permute_what_the_later_one_gives(llava: Opened) -> None:
    healthy, _ = llava.run()
    faults = ["head@answer:0.5", "head@answer,seed=1"]
    logits, _ = llava.run(faults)
    one, other = (label_permutation([parse_fault(spec)], llava.phrases) for spec in faults)
    assert one
    assert other
    for token in {*one, *other}:
        source = one.get(token, token)
        assert torch.equal(logits[:, token], healthy[:, other.get(source, source)])
