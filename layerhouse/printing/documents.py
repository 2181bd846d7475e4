"""What a command found as one JSON document: the fields of its object in Python, by name."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from layerhouse.printing.terminal import plain, unbroken
from warehouse.lake import Lake


def print_json(found: Any) -> None:
    """Write it to standard output. What is no number, NaN or an infinity, is null."""
    stream = unbroken(sys.stdout)
    json.dump(document(found), stream, ensure_ascii=False, indent=1, allow_nan=False)
    stream.write("\n")


def document(value: Any) -> Any:
    """The same in what JSON has; times, paths and lakes as texts."""
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if is_dataclass(value) and not isinstance(value, Lake | type):
        return {field.name: document(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): document(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [document(entry) for entry in value]
    return plain(str(value))
