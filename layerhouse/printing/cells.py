"""Cells: how wide a text stands on a terminal, and texts brought into a width.

A cell is one place of a terminal: a Chinese letter takes two of them, an accent of its own none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import IO

USUAL, LEAST = 80, 20
"""Cells a line of a terminal that does not say how wide it is, and the fewest that are minded."""
WORD = re.compile(r"[^\W_]+|[\W_]")
LETTER = re.compile(r"[^\W\d_]")
PIECE = re.compile(r"[^-+/@:=]*[-+/@:=]+|[^-+/@:=]+$")
KEPT = "…"


def width_on(stream: IO[str]) -> int | None:
    """How many cells a line of a terminal has, as $COLUMNS or itself says; None for no terminal."""
    if not stream.isatty():
        return None
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return max(int(told), LEAST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or USUAL, LEAST)
    except (OSError, ValueError):  # a terminal of a test, or one that is gone
        return USUAL


def width_of(text: str) -> int:
    """The cells of a line of text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    room = " " * (width - width_of(text))
    return room + text if right else text + room


def wrapped(text: str, width: int, *, fold: bool = False) -> list[str]:
    """The lines of a text that is broken at spaces; a word that is wider stands alone, or is folded
    into lines of that width. Texts that begin with spaces go on below their first word."""
    start = text[: len(text) - len(text.lstrip(" "))]
    start = start if len(start) < width // 2 else ""
    lines, line = [], start
    for word in text.split(" "):
        if not word and line == start:
            continue
        longer = f"{line} {word}" if line != start else f"{line}{word}"
        if width_of(longer) <= width or (line == start and not fold):
            line = longer
            continue
        if line != start:
            lines.append(line)
        *full, rest = _folded(word, width - len(start)) if fold else [word]
        lines += [f"{start}{piece}" for piece in full]
        line = f"{start}{rest}"
    return [*lines, line]


def _folded(word: str, width: int) -> list[str]:
    if width_of(word) <= width:
        return [word]
    if word.isascii():
        return [word[at : at + width] for at in range(0, len(word), width)]
    from rich.cells import chop_cells

    return chop_cells(word, width)


def broken(name: str, width: int) -> list[str]:
    """The lines of a name that is broken behind its marks; what holds no letter is a number, which
    is not broken."""
    if width_of(name) <= width or not LETTER.search(name):
        return [name]
    lines = [""]
    for piece in PIECE.findall(name):
        if lines[-1] and width_of(f"{lines[-1]}{piece}") > width:
            lines.append("")
        lines[-1] += piece
    return lines


def words_of(name: str) -> list[str]:
    """A name's words and what stands between them, letter by letter."""
    return WORD.findall(name)


def shortened(names: Iterable[str], width: int) -> dict[str, str] | None:
    """Each name in that many cells: of one that is wider, words in the middle are left out that all
    such names have in common. None where that is not enough: no word that tells two names apart is
    cut, and none without its neighbours.
    """
    known = list(dict.fromkeys(names))
    wide = [name for name in known if width_of(name) > width]
    parts = {name: words_of(name) for name in known}
    found = {name: name for name in known}
    for name in wide:
        others = [parts[one] for one in (wide if len(wide) > 1 else known) if one != name]
        form = _form(parts[name], others, width, every=len(wide) > 1)
        if form is None:
            return None
        found[name] = form
    return found if len(set(found.values())) == len(known) else None


def _form(words: list[str], others: list[list[str]], width: int, *, every: bool) -> str | None:
    """The longest form that leaves words out behind the first, or before the last, and fits."""
    pick = min if every else max
    lead = pick((_same(words, one) for one in others), default=len(words) // 2)
    trail = pick((_same(words[::-1], one[::-1]) for one in others), default=0)
    trail = min(trail, len(words) - lead)
    behind = ["".join([*words[:n], KEPT, *words[lead:]]) for n in range(lead - 1, 0, -1)]
    end = len(words) - trail
    before = ["".join([*words[:end], KEPT, *words[n:]]) for n in range(end + 1, len(words))]
    return next((form for form in (*behind, *before) if width_of(form) <= width), None)


def _same(words: list[str], others: list[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(words, others, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(words), len(others)))
