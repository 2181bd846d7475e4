"""Files that anybody may have written, read within bounds: of size, of depth, of numbers."""

from __future__ import annotations

import json
import math
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 64 * 2**20
MOST_DEPTH = 64

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
