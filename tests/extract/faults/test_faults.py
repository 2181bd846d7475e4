"""Faults are written, planned and applied as documented, and never leak."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from extract.faults.edits import EDITS, Strike
from extract.faults.erasure import class_differences
from extract.faults.spec import (
    KINDS,
    degraded,
    exchanged_tokens,
    parse_fault,
    plan_exchange,
    telling_tokens,
    variant_of,
)
from tests.extract.sessions import Opened
from tests.extract.tiny_families import picture
from warehouse.errors import UsageError


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("swap@vision", "swap@vision:1"),
        ("swap@vision:0.5", "swap@vision:0.5"),
        ("noise@llm.12:4,seed=3", "noise@llm.12:4,seed=3"),
        ("noise@llm.-1", "noise@llm.-1:4"),
        ("head@answer:0.30", "head@answer:0.3"),
        ("quantise@connector:3,seed=0", "quantise@connector:3"),
    ],
)
def test_a_fault_reads_back_as_its_canonical_text(spec: str, canonical: str) -> None:
    fault = parse_fault(spec)
    assert str(fault) == canonical
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("swap", "is no fault; write KIND@STAGE"),
        ("swop@vision", "did you mean swap"),
        ("swap@visoin", "did you mean vision"),
        ("swap@answer", "cannot strike at answer"),
        ("head@vision", "only at answer"),
        ("swap@connector.1", "has no layers"),
        ("swap@vision:1.5", "above 0 and at most 1"),
        ("swap@vision:0", "above 0"),
        ("rank@llm:1.5", "a whole number"),
        ("noise@llm:--4", "is no number"),
    ],
)
def test_an_impossible_fault_is_refused_with_the_way_out(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_fault(spec)


@given(
    kind=st.sampled_from(sorted(KINDS)), layer=st.none() | st.integers(0, 40), seed=st.integers(0)
)
def test_every_kind_round_trips(kind: str, layer: int | None, seed: int) -> None:
    stage = KINDS[kind].stages[-1]
    where = f".{layer}" if layer is not None and stage == "llm" else ""
    fault = parse_fault(f"{kind}@{stage}{where},seed={seed}")
    assert parse_fault(str(fault)) == fault
    assert fault.destroying == (kind in ("swap", "head"))


def test_an_erasure_strikes_its_share_of_samples_and_a_stronger_one_more_of_the_same() -> None:
    names = [f"sample-{i}" for i in range(2000)]
    weak, strong = (parse_fault(f"erase@vision:{share}") for share in (0.3, 0.6))
    struck = [{name for name in names if fault.strikes(name)} for fault in (weak, strong)]
    assert len(struck[0]) / len(names) == pytest.approx(0.3, abs=0.04)
    assert len(struck[1]) / len(names) == pytest.approx(0.6, abs=0.04)
    assert struck[0] < struck[1]
    assert all(parse_fault("erase@vision").strikes(name) for name in names)


def test_the_variant_names_all_faults() -> None:
    faults = [parse_fault("swap@vision:0.5"), parse_fault("head@answer:0.3")]
    assert variant_of([]) == "base"
    assert variant_of(faults) == "fault:swap@vision:0.5+fault:head@answer:0.3"
    assert variant_of(faults[:1], "adapter:lora") == "adapter:lora+fault:swap@vision:0.5"


SAMPLES = [
    (f"s{index:03}", "test" if index % 3 == 0 else "train", int(index % 10 == 0))
    for index in range(300)
]


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_swap_strikes_exactly_its_share_of_every_split_and_class(share: float) -> None:
    exchange = plan_exchange(parse_fault(f"swap@vision:{share}"), SAMPLES)
    facts = {name: (split, class_index) for name, split, class_index in SAMPLES}
    sizes = Counter(split for _, split, _ in SAMPLES)
    struck = Counter(facts[name][0] for name in exchange.donors)
    assert struck == {split: round(share * n) for split, n in sizes.items()}
    rare = sum(facts[name][1] for name in exchange.donors) / len(exchange.donors)
    assert rare == pytest.approx(0.1, abs=0.02)
    for name, donor in exchange.donors.items():
        assert donor != name
        assert facts[donor][0] == facts[name][0]


def test_a_stronger_swap_strikes_the_same_samples_and_more() -> None:
    weak = plan_exchange(parse_fault("swap@vision:0.3"), SAMPLES).donors
    strong = plan_exchange(parse_fault("swap@vision:0.6"), reversed(SAMPLES)).donors
    other = plan_exchange(parse_fault("swap@vision:0.3,seed=1"), SAMPLES).donors
    assert weak.items() <= strong.items()
    assert set(weak) != set(other)


def test_the_telling_token_is_where_a_phrase_becomes_unique() -> None:
    assert telling_tokens([[1, 5], [2, 5], [3]]) == [1, 2, 3]
    assert telling_tokens([[1, 5], [1, 6], [2]]) == [5, 6, 2]
    assert telling_tokens([[1], [1, 6]]) == [1, 6]


def test_a_head_fault_exchanges_the_tokens_of_a_share_of_classes() -> None:
    phrases = [[token] for token in range(10)]
    exchange = exchanged_tokens(parse_fault("head@answer:0.3"), phrases)
    assert len(exchange) == 3
    assert set(exchange) == set(exchange.values())
    assert all(token != other for token, other in exchange.items())
    assert len(exchanged_tokens(parse_fault("head@answer:0.01"), phrases)) == 2
    with pytest.raises(UsageError, match="at least two classes"):
        exchanged_tokens(parse_fault("head@answer"), [[1], [1]])


def _strike(severity: float, base: object = None) -> Strike:
    return Strike(
        severity,
        torch.Generator().manual_seed(0),
        torch.Generator().manual_seed(1),
        base,  # type: ignore[arg-type]
    )


def test_edits_do_what_their_severity_says() -> None:
    rows = torch.randn(50, 32, generator=torch.Generator().manual_seed(2))
    noisy = EDITS["noise"](rows, _strike(2.0)) - rows
    assert float(noisy.std() / rows.std()) == pytest.approx(2.0, rel=0.1)
    dropped = EDITS["drop"](rows, _strike(0.3))
    assert int((dropped == 0).all(dim=1).sum()) == 15
    squeezed = EDITS["rank"](rows, _strike(3))
    assert int(torch.linalg.matrix_rank(squeezed)) == 3
    coarse = EDITS["quantise"](rows, _strike(2))
    assert len(coarse.unique()) <= 4
    assert float((coarse - rows).abs().max()) <= float((rows.max() - rows.min()) / 6) + 1e-5


def test_erasing_leaves_all_class_means_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(3, 5, 8, generator=generator)
    images = [means[i % 3] + torch.randn(5, 8, generator=generator) for i in range(30)]
    found = torch.stack([torch.stack(images[c::3]).mean(dim=0) for c in range(3)])
    base = class_differences(list(found))
    erased = [EDITS["erase"](image, _strike(1.0, base)) for image in images]
    after = torch.stack([torch.stack(erased[c::3]).mean(dim=0) for c in range(3)])
    assert float((after - after[0]).abs().max()) < 1e-4
    assert float((found - found[0]).abs().max()) > 0.5


def test_low_resolution_keeps_the_size_and_loses_the_detail() -> None:
    image = picture(100, 80)
    faults = [parse_fault("lowres@vision:4")]
    coarse = degraded(image, faults)
    assert coarse.size == image.size
    assert np.asarray(coarse, float).std() < np.asarray(image, float).std()
    assert degraded(Image.new("RGB", (3, 3)), faults).size == (3, 3)
    assert np.array_equal(degraded(image, []), image)


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
    tokens = exchanged_tokens(parse_fault("head@answer"), llava.phrases)
    for token, source in tokens.items():
        torch.testing.assert_close(both[:, token], first[:, source])


def test_a_layer_off_the_path_or_out_of_range_cannot_be_struck(llava: Opened) -> None:
    with pytest.raises(UsageError, match="vision has layers 0 to 1 on the path"):
        llava.run(["noise@vision.2"])
    with pytest.raises(UsageError, match="llm has layers 0 to 3"):
        llava.run(["noise@llm.9"])
