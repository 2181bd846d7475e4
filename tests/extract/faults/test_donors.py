"""Donors are chosen evenly, and a stronger fault strikes the same samples and more."""

from __future__ import annotations

from collections import Counter

import pytest

from extract.faults.donors import choose_donors
from extract.faults.spec import parse_fault

SAMPLES = [
    (f"s{index:03}", "test" if index % 3 == 0 else "train", int(index % 10 == 0))
    for index in range(300)
]


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_swap_strikes_exactly_its_share_of_every_split_and_class(share: float) -> None:
    donors = choose_donors(parse_fault(f"swap@vision:{share}"), SAMPLES)
    facts = {name: (split, class_index) for name, split, class_index in SAMPLES}
    sizes = Counter(split for _, split, _ in SAMPLES)
    struck = Counter(facts[name][0] for name in donors)
    assert struck == {split: round(share * n) for split, n in sizes.items()}
    rare = sum(facts[name][1] for name in donors) / len(donors)
    assert rare == pytest.approx(0.1, abs=0.02)
    for name, donor in donors.items():
        assert donor != name
        assert facts[donor][0] == facts[name][0]


def test_a_stronger_swap_strikes_the_same_samples_and_more() -> None:
    weak = choose_donors(parse_fault("swap@vision:0.3"), SAMPLES)
    strong = choose_donors(parse_fault("swap@vision:0.6"), reversed(SAMPLES))
    other = choose_donors(parse_fault("swap@vision:0.3,seed=1"), SAMPLES)
    assert weak.items() <= strong.items()
    assert set(weak) != set(other)
