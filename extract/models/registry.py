"""The registry: models known by name, as data in registry.toml. Imports nothing heavy."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import LAYERED

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class RegistryEntry:
    """What is known about one model.

    `parameters` is in billions; `vision` and `llm` are (layers, width) or None where unknown.
    `verified` is false while a fact was not read in the model's own files. `reason` says why a
    model with `load = "plug-in"` cannot be loaded; such a model is run by writing a class that
    transformers knows into a local folder and giving that folder's path.
    """

    name: str
    title: str
    licence: str
    gated: bool
    verified: bool
    evidence: str
    family: str | None = None
    hub: str | None = None
    architecture: str | None = None
    folder: Path | None = None
    revision: str = "main"
    parameters: float | None = None
    vision: tuple[int, int] | None = None
    llm: tuple[int, int] | None = None
    paper: bool = False
    load: str = "native"
    reason: str | None = None
    published_as: str | None = None
    question: str | None = None
    general_base: str | None = None
    key_mapping: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)


@cache
def registry() -> dict[str, RegistryEntry]:
    """All known models by name, in the order of registry.toml."""
    data = tomllib.loads((HERE / "registry.toml").read_text(encoding="utf-8"))
    return {name: _entry(name, facts) for name, facts in data.items()}


def matching_entries(pattern: str = "*") -> list[RegistryEntry]:
    """The models whose name matches a shell-style pattern; UsageError if none does."""
    found = [entry for name, entry in registry().items() if fnmatch(name, pattern.lower())]
    if not found:
        raise UsageError(f"no model matches {pattern!r}{nearest(pattern.strip('*?'), registry())}")
    return found


def entry_named(name: str) -> RegistryEntry:
    """One model by name, in any case; UsageError with the nearest names if unknown."""
    entry = find(name)
    if entry is None:
        raise UsageError(f"unknown model {name!r}{nearest(name.lower(), registry())}")
    return entry


def find(name: str) -> RegistryEntry | None:
    """The entry of this name or hub id, or None."""
    for entry in registry().values():
        if name.lower() in (entry.name, (entry.hub or "").lower()):
            return entry
    return None


def find_published(config: Mapping[str, Any]) -> RegistryEntry | None:
    """The entry published in the layout and the sizes of this config.json, or None."""
    sizes = (config.get("num_hidden_layers"), config.get("hidden_size"))
    for entry in registry().values():
        if entry.published_as == config.get("model_type") and entry.llm == sizes:
            return entry
    return None


def _entry(name: str, facts: dict[str, Any]) -> RegistryEntry:
    for size in LAYERED:
        if size in facts:
            facts[size] = tuple(facts[size])
    if "folder" in facts:
        facts["folder"] = HERE / facts["folder"]
    return RegistryEntry(name=name, **facts)
