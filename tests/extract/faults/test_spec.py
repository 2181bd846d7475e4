"""Faults are written as documented, and what cannot be meant is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from extract.faults.registry import fault_kinds, kind_named
from extract.faults.spec import parse_fault, variant_of
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
        ("swap@vision:0.30000000000000004", "swap@vision:0.3"),
        ("noise@llm:1e-7", "noise@llm:1e-07"),
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
        ("noise@llm:1.0000001", "more digits than the six that it is named by; give 1$"),
        ("swap@vision:0.3333333", "; give 0.333333$"),
    ],
)
def test_an_impossible_fault_is_refused_with_the_way_out(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_fault(spec)


@given(
    name=st.sampled_from(sorted(fault_kinds())),
    layer=st.none() | st.integers(0, 40),
    seed=st.integers(0),
)
def test_every_kind_round_trips(name: str, layer: int | None, seed: int) -> None:
    stage = kind_named(name).stages[-1]
    where = f".{layer}" if layer is not None and stage == "llm" else ""
    fault = parse_fault(f"{name}@{stage}{where},seed={seed}")
    assert fault.kind is kind_named(name)
    assert parse_fault(str(fault)) == fault


def test_only_swaps_and_permuted_labels_are_sure_to_destroy() -> None:
    assert [name for name, kind in fault_kinds().items() if kind.destroying] == ["swap", "head"]


def test_the_variant_names_all_faults() -> None:
    faults = [parse_fault("swap@vision:0.5"), parse_fault("head@answer:0.3")]
    assert variant_of("base", []) == "base"
    assert variant_of("base", faults) == "fault:swap@vision:0.5+fault:head@answer:0.3"
    assert variant_of("adapter:lora", faults[:1]) == "adapter:lora+fault:swap@vision:0.5"
