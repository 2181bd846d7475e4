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

from warehouse.errors import ORDERS, plain

NOT_BACK = re.compile(rf"(?!\r){ORDERS.pattern}")
"""The same without the return to a line's begin, which bars of libraries draw with."""


def raw(stream: IO[str]) -> IO[str]:
    """The stream behind the guard, for what draws by itself."""
    return stream.stream if isinstance(stream, Guarded) else stream


class Guarded(io.TextIOBase):
    """A terminal's stream that passes no orders on."""

    def __init__(self, stream: IO[str], orders: re.Pattern[str]) -> None:
        self.stream, self._orders = stream, orders

    def write(self, text: str) -> int:
        self.stream.write(plain(text, self._orders))
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
