"""The traditional classifiers of `layerhouse baseline`, as architectures.toml lists them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError, UsageError, nearest

if TYPE_CHECKING:  # what stands in them needs torch
    from analysis.baselines.images import LabelledImages, Trained

LISTED = Path(__file__).with_name("architectures.toml")
DEEP = "analysis.baselines.networks"


@dataclass(frozen=True)
class Options:
    """What a user may ask of a deep network; the rest is in its settings.

    weights: a local folder or hub id to start from, instead of from scratch; side: of the square
    images, in pixels; epochs: at most so many; device: auto, cpu, cuda, …
    """

    weights: str | None = None
    side: int | None = None
    epochs: int | None = None
    device: str = "auto"

    def refuse_for(self, architecture: Architecture) -> None:
        """UsageError if any option is set for a classifier that has none."""
        for option in fields(self):
            if getattr(self, option.name) != option.default:
                raise UsageError(
                    f"{architecture.name} is no deep network and takes no --{option.name}"
                )


@dataclass(frozen=True)
class Plan:
    """A training about to happen: the name its results are stored under, and what decides them."""

    stored_as: str
    settings: Mapping[str, Any]
    train: Callable[[LabelledImages, int], Trained]


@dataclass(frozen=True)
class Architecture:
    """One classifier: its group (cnn, mlp, vit, hybrid, classical) and how it is built.

    `model_type` and `class_name` are transformers' own; `small` the configuration trained from
    scratch; `hub` a checkpoint for `--weights`; `needs` the optional extra it runs through.
    """

    name: str
    kind: str
    title: str
    home: str = DEEP
    model_type: str | None = None
    class_name: str | None = None
    hub: str | None = None
    small: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None

    @property
    def is_deep(self) -> bool:
        return self.model_type is not None

    @property
    def is_native(self) -> bool:
        """Whether transformers (or this package) has it without another library."""
        return self.needs is None

    def plan(self, options: Options) -> Plan:
        """What training it with these options means.

        Raises UsageError for an option it does not take, LayerhouseError for a missing extra.
        """
        if self.needs is not None and find_spec(self.needs) is None:
            raise LayerhouseError(
                f"{self.name} runs through {self.needs}, which is not installed: "
                f"pip install 'layerhouse[{self.needs}]'"
            )
        planned: Plan = import_module(self.home).plan(self, options)
        return planned


@cache
def known_architectures() -> dict[str, Architecture]:
    """Every architecture by name, in the order of the file."""
    listed = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    return {
        name: Architecture(name, class_name=facts.pop("class", None), **facts)
        for name, facts in listed.items()
    }


def find(name: str) -> Architecture:
    """The architecture called `name`; UsageError with the nearest name otherwise."""
    known = known_architectures()
    if name not in known:
        raise UsageError(f"there is no baseline architecture {name!r}{nearest(name, known)}")
    return known[name]
