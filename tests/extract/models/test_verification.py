"""Every model of the registry is what the registry says, built for real on the meta device."""

from __future__ import annotations

import dataclasses

import pytest

from extract.models import registry
from extract.models.architectures import architecture_sizes
from extract.models.verification import verifiable, verify
from warehouse.errors import UsageError

PAPER_BASES = ("qwen2.5-vl-7b", "gemma-3-4b")
VERIFIABLE = [entry.name for entry in registry.matching_entries() if verifiable(entry)]


@pytest.mark.parametrize("name", VERIFIABLE)
def test_the_architecture_agrees_with_the_registry(name: str) -> None:
    result = verify(registry.entry_named(name))
    wrong = [expectation for expectation in result.expectations if not expectation.agrees]
    assert not wrong
    assert result.passed


def test_the_models_of_the_paper_and_their_bases_can_all_be_verified() -> None:
    paper = [entry.name for entry in registry.matching_entries() if entry.paper]
    assert len(paper) == 14
    assert set(paper) | set(PAPER_BASES) <= set(VERIFIABLE)


def test_a_general_base_is_a_model_of_the_registry_and_of_the_same_family() -> None:
    made = [entry for entry in registry.matching_entries() if entry.general_base]
    assert {entry.general_base for entry in made} == set(PAPER_BASES)
    for entry in made:
        assert entry.general_base is not None
        base = registry.entry_named(entry.general_base)
        assert (base.family, base.general_base) == (entry.family, None)


def test_every_shipped_architecture_belongs_to_a_model() -> None:
    used = {entry.architecture for entry in registry.matching_entries()}
    assert set(architecture_sizes()) <= used


def test_a_wrong_entry_is_reported_with_both_numbers() -> None:
    entry = dataclasses.replace(registry.entry_named("medvlm-r1"), llm=(30, 1536), parameters=2.5)
    result = verify(entry)
    wrong = {(c.what, c.expected, c.found) for c in result.expectations if not c.agrees}
    assert wrong == {("llm layers", "30", "28"), ("parameters, published", "2.50B", "2.21B")}
    assert not result.passed


def test_a_model_without_a_shipped_architecture_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="med-flamingo cannot be verified offline"):
        verify(registry.entry_named("med-flamingo"))
