"""What files may say that anybody may have written: JSON within bounds, checked field by field.

A lake, a published folder and a model's folder come from strangers. What is read of them is held
against a shape, which names every field that may be there and what it may be, before anything is
done with it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 64 * 2**20
MOST_DEPTH = 64

Shape = Callable[[Any, str], None]
"""Raises UnfitError unless a value, which messages call by its place, is what the shape says."""


_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def memory() -> int:
    """The bytes of memory that this machine has, or that a container lets its processes have."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for place in _LIMITS:
        with suppress(OSError, ValueError):  # no container, or "max"
            found.append(int(Path(place).read_text()))
    return min(found)


def check_shard_unpacked(n_bytes: int) -> None:
    """UnfitError for a Parquet file of a lake that takes more than a quarter of the memory once it
    is unpacked; by its footer, which is there before anything else is."""
    if n_bytes > memory() // 4:
        raise UnfitError(
            f"it holds {n_bytes / 2**30:,.1f} GiB once it is unpacked, more than a quarter of "
            "this machine's memory"
        )


class UnfitError(ValueError):
    """A value is not what it may be; the text names its place and what is wrong, in plain ASCII."""


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file that is no link. Raises OSError, and UnfitError for others."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise UnfitError("it is no file")
        if about.st_size > most:
            raise UnfitError(f"it has {about.st_size:,} bytes where at most {most:,} may be")
        return file.read(most)


def parse_json(text: bytes) -> Any:
    """JSON without NaN, repeated keys, broken characters, and depths or numbers without bounds.

    Raises UnfitError.
    """
    try:
        found = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
        text.decode()
    except UnfitError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnfitError("it is no JSON within bounds") from error
    _refuse_unbounded(found)
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnfitError("it names a field twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise UnfitError(f"it holds {name}")


def _refuse_unbounded(found: Any) -> None:
    level, depth = [found], 0
    while level:
        if depth > MOST_DEPTH:
            raise UnfitError(f"it is nested more than {MOST_DEPTH} deep")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
                    raise UnfitError("it holds half a character")
            elif isinstance(value, int | float) and not _is_bounded(value):
                raise UnfitError("it holds a number without bounds")
        level, depth = below, depth + 1


def _is_bounded(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else abs(number) < 2**63


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
