"""Labels: the order of classes, and the phrase that each is asked for by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from warehouse.errors import LayerhouseError, UsageError, nearest


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sorts `stage2` before `stage10`, upper and lower case together."""
    parts = re.split(r"(\d+)", text.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], text


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Every label once, in natural order."""
    return tuple(sorted(set(labels), key=natural_key))


def class_rows(
    name: str, labels: Sequence[str], phrases: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of table `class`: a label without a phrase is spelled as it is, spaces for _ and -.

    Raises UsageError for a phrase of an unknown label, LayerhouseError for two classes that are
    spelled alike.
    """
    for label in phrases:
        if label not in labels:
            raise UsageError(f"no class is labelled {label!r}{nearest(label, labels)}")
    rows = [
        {
            "dataset_id": name,
            "class_index": index,
            "label": label,
            "phrase": phrases.get(label, re.sub(r"[_-]+", " ", label).strip() or label),
        }
        for index, label in enumerate(labels)
    ]
    spelled = Counter(str(row["phrase"]).casefold() for row in rows)
    phrase, times = spelled.most_common(1)[0]
    if times > 1:
        raise LayerhouseError(
            f"{times} classes are spelled {phrase!r}; give them different phrases"
        )
    return rows
