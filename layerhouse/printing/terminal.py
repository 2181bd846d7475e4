"""What reaches a terminal: words and line ends, no orders to it, and no line broken in a word.

Labels, file names, names of models and replies are whatever somebody wrote. What the libraries that
draw tables and bars send is theirs, so these write past the guard, with names made plain before.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from layerhouse.printing.cells import width_on, wrapped
from warehouse.errors import ORDERS, plain

NOT_BACK = re.compile(rf"(?!\r){ORDERS.pattern}")
"""The same without the return to a line's begin, which bars of libraries draw with."""


BOLD, DIM = "1", "2"
"""How a terminal is told to write."""


def styled(line: str, stream: IO[str], style: str) -> str:
    """The line so written, on a terminal that can and may."""
    may = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{style}m{line}\x1b[0m" if may else line


def raw(stream: IO[str]) -> IO[str]:
    """The stream behind the guard, for what draws by itself."""
    return stream.stream if isinstance(stream, Guarded) else stream


def unbroken(stream: IO[str]) -> IO[str]:
    """The stream with lines as they are written, for what is no prose."""
    return cast(IO[str], stream.whole_lines()) if isinstance(stream, Guarded) else stream


def _in_lines(text: str, width: int) -> str:
    if all(len(line) <= width for line in text.split("\n")) and text.isascii():
        return text
    return "\n".join(part for line in text.split("\n") for part in wrapped(line, width))


class Guarded(io.TextIOBase):
    """A terminal's stream that passes no orders on and breaks lines between words.

    With `as_it_is` lines stay whole: what a program may read, and what was laid out already.
    """

    def __init__(self, stream: IO[str], orders: re.Pattern[str], *, as_it_is: bool = False) -> None:
        self.stream, self._orders, self._as_it_is = stream, orders, as_it_is
        self._begins = True

    def write(self, text: str) -> int:
        shown = plain(text, self._orders)
        if self._begins and not self._as_it_is and "\r" not in shown:
            shown = _in_lines(shown, width_on(self.stream) or 0)
        self.stream.write(shown)
        self._begins = text.endswith("\n") or (self._begins and not text)
        return len(text)

    def whole_lines(self) -> Guarded:
        """The same terminal, with lines as they are."""
        return Guarded(self.stream, self._orders, as_it_is=True)

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


PLAINER = str.maketrans({"─": "-", "—": "-", "–": "-", "…": "...", "’": "'", "│": "|"})
"""What may stand for signs of ours that few encodings have."""


def _spelled(fault: UnicodeError) -> tuple[str | bytes, int]:
    """Letters that an encoding lacks: a plainer sign, or their numbers."""
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    lost = fault.object[fault.start : fault.end].translate(PLAINER)
    return lost.encode("ascii", "backslashreplace").decode(), fault.end


codecs.register_error("layerhouse", _spelled)


def _take_all(stream: IO[str]) -> None:
    """Where a locale knows ASCII only, as that of many containers, UTF-8 is written; what
    another encoding lacks is written plainer, letters as their numbers.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return
    encoding = codecs.lookup(stream.encoding).name
    if encoding == "ascii":
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    elif not encoding.startswith("utf"):
        stream.reconfigure(errors="layerhouse")


@contextmanager
def guarded() -> Iterator[None]:
    """Let standard output and errors take every letter, and as terminals pass no orders on."""
    _take_all(sys.stdout)
    _take_all(sys.stderr)
    before = sys.stdout, sys.stderr
    if sys.stdout.isatty():
        sys.stdout = Guarded(sys.stdout, ORDERS)
    if sys.stderr.isatty():
        sys.stderr = Guarded(sys.stderr, NOT_BACK)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
