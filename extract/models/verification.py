"""`models verify`: the real architecture, built without weights and held against the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from extract.anatomy import Anatomy, discover
from extract.models.architectures import architecture_sizes, built_from
from extract.models.registry import RegistryEntry
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object
from warehouse.vocabulary import LAYERED

TOLERANCE = 0.01
"""A parameter count may differ from the published one, which is rounded, by this share."""


@dataclass(frozen=True)
class Expectation:
    """What the registry says of a model, and what the built architecture has."""

    what: str
    expected: str
    found: str
    agrees: bool


@dataclass(frozen=True)
class Verification:
    """A model's architecture against its registry entry."""

    model: str
    anatomy: Anatomy
    n_parameters: int
    expectations: tuple[Expectation, ...]

    @property
    def passed(self) -> bool:
        return all(expectation.agrees for expectation in self.expectations)


def verify(entry: RegistryEntry) -> Verification:
    """Build `entry`'s architecture on the meta device and compare it with what is known of it.

    Takes seconds and no memory for weights, and needs no network. Raises LayerhouseError for an
    architecture that cannot be built or whose structure `loci.discover` does not understand,
    UsageError for a model without a shipped architecture.
    """
    model = _build(entry)
    anatomy = discover(model)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    return Verification(
        model=entry.name,
        anatomy=anatomy,
        n_parameters=n_parameters,
        expectations=tuple(_compared(entry, anatomy, n_parameters)),
    )


def verifiable(entry: RegistryEntry) -> bool:
    """Whether the package holds what `verify` needs to build this model's architecture."""
    return entry.architecture is not None or entry.folder is not None


def _build(entry: RegistryEntry) -> Any:
    import torch
    from transformers import AutoModelForImageTextToText

    config = _config(entry)
    try:
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config)
    except (ValueError, TypeError, KeyError) as error:
        raise LayerhouseError(
            f"the architecture of {entry.name} cannot be built with this transformers: {error}"
        ) from error


def _config(entry: RegistryEntry) -> Any:
    from transformers import AutoConfig

    if entry.folder is not None:
        return AutoConfig.for_model(**read_object(entry.folder / "config.json"))
    if entry.architecture is None:
        why = entry.reason or "its configuration is not shipped with Layerhouse"
        raise UsageError(f"{entry.name} cannot be verified offline: {why}")
    family, numbers = built_from(entry.architecture)
    return AutoConfig.for_model(family, **numbers)


def _compared(entry: RegistryEntry, anatomy: Anatomy, n_parameters: int) -> list[Expectation]:
    found = [_equal("family", str(entry.family), anatomy.model_type)]
    for module in LAYERED:
        expected = getattr(entry, module)
        if expected is not None:
            blocks = [locus for locus in anatomy.of(module) if locus.is_block]
            found.append(_equal(f"{module} layers", expected[0], len(blocks)))
            found.append(_equal(f"{module} width", expected[1], blocks[0].width))
    if entry.architecture is not None:
        shipped = architecture_sizes()[entry.architecture]["parameters"]
        found.append(_equal("parameters", shipped, n_parameters))
    if entry.parameters is not None:
        published = entry.parameters * 1e9
        agrees = abs(n_parameters - published) <= TOLERANCE * published
        text = f"{n_parameters / 1e9:.2f}B"
        found.append(Expectation("parameters, published", f"{entry.parameters:.2f}B", text, agrees))
    return found


def _equal(what: str, expected: int | str, found: int | str) -> Expectation:
    return Expectation(what, str(expected), str(found), expected == found)
