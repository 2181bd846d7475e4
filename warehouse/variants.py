"""Variants: what was done to a model before it ran, as lakes write it behind the model's name.

`tiny-digits+quantization:8bit+fault:swap@vision:0.5` is tiny-digits after two changes, each a kind
and a value; what a model is to which nothing was done is the variant `base`.
"""

import re
import shlex
from collections.abc import Iterable

BASE = "base"
JOINT = "+"
"""Stands before each change."""

FAULT, MEND = "fault", "mend"
OPTIONS = {
    "quantization": "--quantization",
    "adapter": "--adapter",
    MEND: "--adapter",
    FAULT: "--fault",
    "random": "--random-weights",
}
"""The option that each kind of change is asked for with."""

_JOINTS = re.compile(rf"[{JOINT}](?=(?:{'|'.join(OPTIONS)}):)")
"""A + within a name (an adapter `a+b`) parts nothing."""

IMAGE_FAULTS = ("lowres",)
"""The kinds of faults that change the image before a model is shown it."""


def joined(changes: Iterable[str]) -> str:
    """The variant of these changes, such as `fault:swap@vision:0.5`."""
    return JOINT.join(changes) or BASE


def with_variant(name: str, variant: str) -> str:
    """What a lake calls a model of this name in this variant."""
    return name if variant == BASE else f"{name}{JOINT}{variant}"


def changes_of(variant: str) -> list[tuple[str, str]]:
    """The changes of a variant in their order, each as its kind and its value."""
    return [_change(part) for part in _JOINTS.split(variant) if part != BASE]


def taken_apart(model_id: str) -> tuple[str, list[tuple[str, str]]]:
    """A model's own name, and the changes that a lake writes behind it."""
    name, *changes = _JOINTS.split(model_id)
    return name, [_change(part) for part in changes]


def options_of(changes: Iterable[tuple[str, str]]) -> list[str]:
    """The words that ask for changes on the command line, as the view model_options has them:
    weights that are quantised in their folder, by a method and not to 4 or 8 bits, need none."""
    return [
        word
        for kind, value in changes
        if kind in OPTIONS and (kind != "quantization" or value[:1].isdigit())
        for word in (OPTIONS[kind], value)
    ]


def making(model_id: str, dataset_id: str) -> str:
    """The arguments of a command that runs a model by what it is made of, on a dataset."""
    name, changes = taken_apart(model_id)
    return shlex.join(["--model", name, *options_of(changes), "--dataset", dataset_id])


def bases_of(model_id: str) -> list[str]:
    """The models that this one is a variant of, from the plain one on, itself the last."""
    parts = _JOINTS.split(model_id)
    return [JOINT.join(parts[:n]) for n in range(1, len(parts) + 1)]


def _change(part: str) -> tuple[str, str]:
    kind, _, value = part.partition(":")
    return kind, value
