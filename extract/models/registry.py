"""The registry: models known by name, as data in registry.toml. Imports nothing heavy."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from extract.models.files import part_of
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import LAYERED

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class RegistryEntry:
    """What is known about one model.

    `parameters` is in billions; `vision` and `llm` are (layers, width) or None where unknown.
    `verified` is false while a fact was not read in the model's own files. `reason` says why a
    model with `load = "plug-in"` cannot be loaded; such a model is run by writing a class that
    transformers knows into a local folder and giving that folder's path. `subfolders` are those of
    a repository that holds several checkpoints, `subfolder` the one that is meant. `chat_template`
    is for files that hold none.
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
    subfolders: tuple[str, ...] = ()
    subfolder: str | None = None
    parameters: float | None = None
    vision: tuple[int, int] | None = None
    llm: tuple[int, int] | None = None
    paper: bool = False
    load: str = "native"
    reason: str | None = None
    published_as: str | None = None
    chat_template: str | None = None
    max_new_tokens: int | None = None
    repetition_penalty: float | None = None
    general_base: str | None = None
    key_mapping: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether the files are always the same: those of one commit of the hub, or ours."""
        return self.folder is not None or self.revision != "main"


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
    """The entry of this name or hub id, or None; of one checkpoint where its folder follows."""
    wanted = name.lower()
    for entry in registry().values():
        for known in filter(None, (entry.name, (entry.hub or "").lower())):
            if wanted == known:
                return entry
            for folder in entry.subfolders:
                if wanted == f"{known}/{folder.lower()}":
                    return replace(entry, name=f"{entry.name}/{folder}", subfolder=folder)
    return None


def named_checkpoint(name: str) -> RegistryEntry | None:
    """As `find`; UsageError where a repository of several checkpoints is named and none of them."""
    entry = find(name)
    if entry is not None and entry.subfolders and entry.subfolder is None:
        folders = ", ".join(f"{entry.name}/{folder}" for folder in entry.subfolders)
        raise UsageError(f"{entry.title} is {len(entry.subfolders)} checkpoints: name {folders}")
    return entry


def find_alike(config: Mapping[str, Any], folder: str) -> RegistryEntry | None:
    """The entry that a folder is a copy of, by its name, its family and its decoder's sizes."""
    text = part_of(config, "text_config")
    sizes = (text.get("num_hidden_layers"), text.get("hidden_size"))
    for entry in registry().values():
        named = (entry.name, (entry.hub or "").lower().rpartition("/")[2])
        known = (entry.family, entry.llm)
        if folder.lower() in named and known == (config.get("model_type"), sizes):
            return entry
    return None


def _entry(name: str, facts: dict[str, Any]) -> RegistryEntry:
    for several in (*LAYERED, "subfolders"):
        if several in facts:
            facts[several] = tuple(facts[several])
    if "folder" in facts:
        facts["folder"] = HERE / facts["folder"]
    return RegistryEntry(name=name, **facts)
