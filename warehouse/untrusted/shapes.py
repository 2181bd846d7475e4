"""Shapes: every field that may be there of what a stranger wrote, and what it may be.

What is read is held against its shape before anything is done with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from warehouse.untrusted.reading import UnfitError

Shape = Callable[[Any, str], None]
"""Raises UnfitError unless a value, which messages call by its place, is what the shape says."""


def refuse(where: str, value: Any, what: str) -> NoReturn:
    shown = ascii(value)
    raise UnfitError(f"{where} is {shown[:60]}{'…' if len(shown) > 60 else ''} and not {what}")


def text(what: str = "a text", pattern: str = r"[^\0]*", most: int = 2**20) -> Shape:
    wanted = re.compile(pattern, re.DOTALL)

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or len(value) > most or not wanted.fullmatch(value):
            refuse(where, value, what)

    return check


def whole(least: int = 0, most: int = 2**63 - 1) -> Shape:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            refuse(where, value, f"a whole number from {least} to {most}")

    return check


def amount(value: Any, where: str) -> None:
    """A number that counts or measures something."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        refuse(where, value, "an amount")


def truth(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        refuse(where, value, "true or false")


def anything(value: Any, where: str) -> None:
    """What parse_json has let through and nobody acts on."""


def moment(value: Any, where: str) -> None:
    """A time without a zone that a TIMESTAMP column holds."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None and 1970 <= found.year <= 9000:
            return
    except (TypeError, ValueError):
        pass
    refuse(where, value, "a time in UTC")


def one_of(*names: str) -> Shape:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in names:
            refuse(where, value, " or ".join(names))

    return check


def maybe(shape: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        if value is not None:
            shape(value, where)

    return check


def listing(shape: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            refuse(where, value, "a list")
        for number, each in enumerate(value):
            shape(each, f"{where}[{number}]")

    return check


def row(*shapes: Shape) -> Shape:
    """A list of exactly so many values, each of its own shape."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) != len(shapes):
            refuse(where, value, f"a list of {len(shapes)}")
        for number, (shape, each) in enumerate(zip(shapes, value, strict=True)):
            shape(each, f"{where}[{number}]")

    return check


def mapping(keys: Shape, values: Shape) -> Shape:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            refuse(where, value, "an object")
        for key, each in value.items():
            keys(key, f"a name in {where}")
            values(each, f"{where}.{key}")

    return check


def fields(
    needed: Mapping[str, Shape],
    optional: Mapping[str, Shape] | None = None,
    others: Shape | None = None,
) -> Shape:
    """An object of exactly these fields; `others` is the shape of any more, which there are none of
    by default."""
    known = {**needed, **(optional or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            refuse(where, value, "an object")
        inside = f"{where}." if where else ""
        for name in needed:
            if name not in value:
                raise UnfitError(f"{inside}{name} is missing")
        for name, each in value.items():
            shape = known.get(name, others)
            if shape is None:
                refuse(f"a field of {where or 'it'}", name, "one that is known")
            shape(each, f"{inside}{name}" if name in known else f"a field of {where or 'it'}")

    return check
