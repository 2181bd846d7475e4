"""Variants: what was done to a model before it ran, as lakes write it behind the model's name.

`tiny-digits+quantization:8bit+fault:swap@vision:0.5` is tiny-digits after two changes, each a kind
and a value; what a model is to which nothing was done is the variant `base`.
"""

from collections.abc import Iterable

BASE = "base"
JOINT = "+"
"""Stands before each change, and so in no model's own name."""

FAULT, MEND = "fault", "mend"
OPTIONS = {
    "quantization": "--quantization",
    "adapter": "--adapter",
    MEND: "--adapter",
    FAULT: "--fault",
    "random": "--random-weights",
}
"""The option that each kind of change is asked for with."""

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
    return [_change(part) for part in variant.split(JOINT) if part != BASE]


def taken_apart(model_id: str) -> tuple[str, list[tuple[str, str]]]:
    """A model's own name, and the changes that a lake writes behind it."""
    name, *changes = model_id.split(JOINT)
    return name, [_change(part) for part in changes]


def bases_of(model_id: str) -> list[str]:
    """The models that this one is a variant of, from the plain one on, itself the last."""
    parts = model_id.split(JOINT)
    return [JOINT.join(parts[:n]) for n in range(1, len(parts) + 1)]


def _change(part: str) -> tuple[str, str]:
    kind, _, value = part.partition(":")
    return kind, value
