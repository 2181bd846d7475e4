"""What was understood of a source, for a person to hold against what they meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.datasets.measuring import Measured
from extract.datasets.shades import Rule
from warehouse.vocabulary import SPLITS


@dataclass(frozen=True)
class ClassLine:
    """One class: its label, the phrase a model is asked for, and its samples per split."""

    label: str
    phrase: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Summary:
    """Classes, then `facts`: what is spoken of (groups, sizes, …) and what was understood of it."""

    classes: tuple[ClassLine, ...]
    facts: Mapping[str, str]


def summarised(
    classes: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]],
    images: Sequence[Measured],
    rule: Rule,
    groups_from: str,
    left_out: Mapping[str, int],
) -> Summary:
    """The summary of a checked dataset; a new fact is a line of `facts`, in the printed order."""
    facts = {
        **_left_out(left_out),
        "Groups": _groups(samples, groups_from),
        "Sizes": _sizes(images),
        **_pixels(images, rule),
    }
    return Summary(tuple(_class_lines(classes, samples)), facts)


def _class_lines(
    classes: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]
) -> list[ClassLine]:
    counts = Counter((row["class_index"], row["split"]) for row in samples)
    return [
        ClassLine(
            row["label"],
            row["phrase"],
            {split: counts[row["class_index"], split] for split in SPLITS},
        )
        for row in classes
    ]


def _groups(samples: Sequence[Mapping[str, Any]], groups_from: str) -> str:
    n_groups = len({row["group_id"] for row in samples})
    if n_groups == len(samples):
        return f"every one of the {n_groups:,} images is its own group"
    said = f"{n_groups:,} groups of {len(samples):,} images"
    return f"{said}; {groups_from}" if groups_from else said


def _left_out(files: Mapping[str, int]) -> dict[str, str]:
    if not files:
        return {}
    reasons = "; ".join(f"{n:,} {what}" for what, n in files.items())
    return {"Left out": f"{sum(files.values()):,} files ({reasons})"}


def _sizes(images: Sequence[Measured]) -> str:
    """Smallest to largest, by pixels."""
    sizes = Counter((image.width, image.height) for image in images)
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    first, last = (f"{width} × {height}" for width, height in (ordered[0], ordered[-1]))
    return f"{first} pixels" if len(ordered) == 1 else f"{first} to {last} pixels"


def _pixels(images: Sequence[Measured], rule: Rule) -> dict[str, str]:
    """Modes and values as they are stored, and as the model sees them."""
    modes = Counter(image.mode for image in images)
    stored = (min(image.stored[0] for image in images), max(image.stored[1] for image in images))
    levels = [rule.levels(image) for image in images]
    shown = (min(low for low, _ in levels), max(high for _, high in levels))
    of_modes = ", ".join(
        mode if len(modes) == 1 else f"{mode} ({n:,})" for mode, n in modes.most_common()
    )
    found = {
        "Stored": f"{of_modes}, values {stored[0]:,.6g}…{stored[1]:,.6g}",
        "Shown": f"8-bit RGB, values {shown[0]}…{shown[1]}",
    }
    return found | ({"Pixel rule": rule.said} if rule.said else {})
