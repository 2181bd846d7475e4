"""What reaches a terminal: words and line ends, no orders to it.

Labels, file names, names of models and replies are whatever somebody wrote. What the libraries that
draw tables and bars send is theirs, so these write past the guard, with names made plain before.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

_ORDERS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
ORDERS = re.compile(f"[\r{_ORDERS}]")
"""Control characters, and those that turn the direction of a text."""
NOT_BACK = re.compile(f"[{_ORDERS}]")
"""The same without the return to a line's begin, which bars of libraries draw with."""


def plain(text: str) -> str:
    """A text as a terminal may get it: what is an order is written out, as \\x1b."""
    return ORDERS.sub(_written_out, text)


def raw(stream: IO[str]) -> IO[str]:
    """The stream behind the guard, for what draws by itself."""
    return stream.stream if isinstance(stream, Guarded) else stream


class Guarded(io.TextIOBase):
    """A terminal's stream that passes no orders on."""

    def __init__(self, stream: IO[str], orders: re.Pattern[str]) -> None:
        self.stream, self._orders = stream, orders

    def write(self, text: str) -> int:
        self.stream.write(self._orders.sub(_written_out, text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Said here: click writes past a stream without one."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "errors", None) or "replace"

    def flush(self) -> None:
        self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return self.stream.isatty()


@contextmanager
def guarded() -> Iterator[None]:
    """Let standard output and errors pass no orders on, as far as they are terminals."""
    before = sys.stdout, sys.stderr
    if sys.stdout.isatty():
        sys.stdout = Guarded(sys.stdout, ORDERS)
    if sys.stderr.isatty():
        sys.stderr = Guarded(sys.stderr, NOT_BACK)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _written_out(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
