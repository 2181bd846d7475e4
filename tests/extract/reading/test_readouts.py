"""Pooling is exact for every layout, and the grid keeps position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image

from extract.anatomy.sample_rows import SampleRows, TokenMap
from extract.reading.pooling import build_pooler, slots
from extract.reading.reader import Reader
from extract.reading.readouts import quarters
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened, opened
from warehouse.errors import LayerhouseError

CPU = torch.device("cpu")


def _sample(start: int, height: int, width: int, prefix: int = 1) -> SampleRows:
    n = height * width
    cells = np.stack(np.divmod(np.arange(n), width), axis=1)
    every = np.arange(start, start + prefix + n)
    return SampleRows(every[prefix:], every, cells, (height, width), cls=start, last=int(every[-1]))


@settings(max_examples=60)
@given(sides=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4))
def test_pooling_equals_plain_means_whatever_the_sizes(sides: list[tuple[int, int]]) -> None:
    samples, start = [], 0
    for height, width in sides:
        samples.append(_sample(start, height, width))
        start += 1 + height * width
    states = torch.randn(start, 6, generator=torch.Generator().manual_seed(0))
    readouts = ("mean", "cls", "last", "grid")
    into = torch.empty(len(samples), 7, 6)
    build_pooler(TokenMap(start, tuple(samples)), readouts, CPU)(states, into)
    where = slots(readouts)
    for index, (sample, (height, width)) in enumerate(zip(samples, sides, strict=True)):
        tokens = states[torch.from_numpy(sample.image)]
        torch.testing.assert_close(into[index, where["mean"]][0], tokens.mean(dim=0))
        torch.testing.assert_close(into[index, where["cls"]][0], states[sample.every[0]])
        torch.testing.assert_close(into[index, where["last"]][0], states[sample.every[-1]])
        pooled = torch.nn.functional.adaptive_avg_pool2d(
            tokens.T.reshape(6, height, width), 2
        ).reshape(6, 4)
        torch.testing.assert_close(into[index, where["grid"]], pooled.T)


def test_half_precision_is_averaged_in_full_precision() -> None:
    samples = (_sample(0, 40, 40, prefix=0),)
    states = torch.full((1600, 2), 1.0).to(torch.bfloat16)
    states[0] = 256.0
    into = torch.empty(1, 1, 2)
    build_pooler(TokenMap(1600, samples), ("mean",), CPU)(states, into)
    assert float(into[0, 0, 0]) == pytest.approx((1599 + 256) / 1600, rel=1e-4)


@given(n=st.integers(1, 40))
def test_tokens_without_a_place_fall_into_four_consecutive_runs(n: int) -> None:
    member = quarters(SampleRows(np.arange(n), np.arange(n)))
    assert member.shape == (4, n)
    assert member.any(axis=0).all()
    assert member.any(axis=1).all()
    assert (np.diff(member.argmax(axis=0)) >= 0).all()


SPATIAL = [
    "llava",
    pytest.param("llava_siglip_qwen2", marks=pytest.mark.slow),
    pytest.param("qwen2_vl", marks=pytest.mark.slow),
    "qwen2_5_vl",
    pytest.param("qwen3_vl", marks=pytest.mark.slow),
    pytest.param("video_llama_3", marks=pytest.mark.slow),
    "gemma3",
    "gemma4",
    pytest.param("paligemma", marks=pytest.mark.slow),
    "pixtral_llava",
    pytest.param("mistral3", marks=pytest.mark.slow),
    pytest.param("glm4v", marks=pytest.mark.slow),
    pytest.param("deepseek_vl", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("family", SPATIAL)
def test_a_change_in_one_corner_shows_in_that_corner_of_the_grid(
    family: str, family_folder: FamilyFolders
) -> None:
    """Blank one quarter of an image: the first block and the connector change most there."""
    model = opened(family_folder(family), stages=())
    image = model.pictures[0].resize((112, 112))
    _, before = model.run(pictures=[image])
    for corner, box in enumerate([(0, 0), (56, 0), (0, 56), (56, 56)]):
        changed = image.copy()
        changed.paste(Image.new("RGB", (56, 56), (255, 0, 255)), box)
        _, after = model.run(pictures=[changed])
        for locus in ("vision.0", "connector.0"):
            moved = np.linalg.norm(
                (after[locus, "grid"] - before[locus, "grid"]).reshape(4, -1), axis=1
            )
            assert moved.argmax() == corner, (family, locus, moved)


def test_hooks_outside_a_recording_leave_no_trace(llava: Opened) -> None:
    session = llava.session
    wanted = [(locus, session.readouts[locus.name]) for locus in session.anatomy.loci]
    reader = Reader(session.model, session.anatomy, wanted)
    hooks = sum(len(m._forward_hooks) for m in session.model.modules())
    with reader.attached():
        session.forward(session.on_device(session.encode(llava.pictures)))
    assert reader.take() == ({}, {})
    assert sum(len(m._forward_hooks) for m in session.model.modules()) == hooks


def test_a_layout_nobody_knows_names_the_family_and_the_way_out(llava_folder: Path) -> None:
    model = opened(llava_folder)
    facts = model.session.facts(model.session.encode(model.pictures))
    with pytest.raises(LayerhouseError, match=r"llava: vision .* not known; docs/adding-a-model"):
        facts.token_map(model.session.anatomy.of("vision")[0], (7, 5, 16))
    with pytest.raises(LayerhouseError, match=r"llava: decoder .* not known; docs/adding-a-model"):
        facts.prompt_map((1, 2, 16))
