"""What every reader hands over: the samples of a source, before anything is checked or split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from warehouse.errors import LayerhouseError

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Item:
    """One labelled image; `split` and `group_id` are None where the source has none."""

    sample_id: str
    uri: str
    label: str
    split: str | None = None
    group_id: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """All samples of one source.

    `labels` fixes the class order where the natural order of the labels is not the right one;
    `notes` are warnings of the reader.
    """

    location: str
    items: list[Item]
    title: str
    licence: str | None = None
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def is_split_name(name: str) -> bool:
    return name.strip().lower() in _SPLIT_NAMES


def split_name(name: str, where: str) -> str:
    """`train`, `val` or `test` for one of their usual spellings; LayerhouseError otherwise."""
    try:
        return _SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise LayerhouseError(
            f"{where} names the split {name!r}; splits are train, val and test"
        ) from None


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sorts `stage2` before `stage10`, upper and lower case together."""
    parts = re.split(r"(\d+)", text.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], text


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(labels), key=natural_key))
