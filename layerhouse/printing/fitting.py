"""Fitting: a table brought into the width of a terminal.

First as it is; then with headers on several lines; then with sentences on several lines, and names
broken behind a mark, or else shortened in the middle by what all have in common. What does not fit
even so is stacked: a record below the other, each value on lines of its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from layerhouse.printing.cells import broken, padded, shortened, width_of, wrapped

GAP, NARROW = 3, 2
"""Cells between two columns, and where there is little room."""
MOST_LINES, MOST_OF_NAME = 4, 2
"""Lines of one value in a table, and of a name; of more a record is easier to read."""
SHORT = 10
"""A sentence of so many cells is not broken."""
LEAST_NAME = 12
"""A name is not shortened to fewer cells: less of it says nothing."""
RULE = "─"

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Laid:
    """The lines of a table: its header, and what is below the rule; none is wider than `width`."""

    header: list[str]
    body: list[str]
    width: int


def table(
    names: Sequence[str], rows: Rows, width: int | None = None, right: Collection[int] = ()
) -> Laid | None:
    """The table in that width, None where it does not fit; without a width it always does.

    The columns at `right` have their values at the right.
    """
    columns = [_Column(name, [row[at] for row in rows]) for at, name in enumerate(names)]
    for gap in (GAP, NARROW):
        between = gap * max(0, len(columns) - 1)
        widths = _widths(columns, None if width is None else width - between)
        if widths is not None:
            break
    else:
        return None
    heads = [_head(column.name, wide) for column, wide in zip(columns, widths, strict=True)]
    shown = [column.shown(wide) for column, wide in zip(columns, widths, strict=True)]
    widths = [
        max(width_of(line) for lines in (head, *cells) for line in lines)
        for head, cells in zip(heads, shown, strict=True)
    ]
    place = _Place(widths, gap, frozenset(right))
    blocks = [place.lines(row, top=True) for row in zip(*shown, strict=True)]
    apart = 2 * sum(len(block) > 1 for block in blocks) > len(blocks)
    body = [line for block in blocks for line in (["", *block] if apart else block)]
    body = body[1:] if apart else body
    whole = sum(widths) + gap * max(0, len(widths) - 1)
    return Laid(place.lines(heads, top=False), body, whole)


def records(names: Sequence[str], row: Sequence[str], width: int | None) -> list[str]:
    """One row, its columns one below the other; whole without a width."""
    label = max(map(width_of, names), default=0)
    beside = width is None or width - label - GAP >= width // 3
    lines = []
    for name, value in zip(names, row, strict=True):
        room = None if width is None else width - (label + GAP if beside else 2)
        parts = _lines(value, room)
        if beside:
            heads = [padded(name, label + GAP), *[" " * (label + GAP)] * (len(parts) - 1)]
            lines += [f"{head}{part}".rstrip() for head, part in zip(heads, parts, strict=True)]
        else:
            lines += [name, *(f"  {part}" for part in parts if part)]
    return lines


@dataclass(frozen=True)
class _Place:
    """Where cells of a row stand: the widths of columns, what lies between two, which are right."""

    widths: Sequence[int]
    gap: int
    right: frozenset[int]

    def lines(self, cells: Sequence[list[str]], *, top: bool) -> list[str]:
        """The lines of a row, whose cells begin together or, of a header, end together."""
        height = max(map(len, cells), default=0)
        filled = []
        for lines in cells:
            none = [""] * (height - len(lines))
            filled.append([*lines, *none] if top else [*none, *lines])
        return [self._line(parts) for parts in zip(*filled, strict=True)]

    def _line(self, parts: Sequence[str]) -> str:
        each = enumerate(zip(parts, self.widths, strict=True))
        cells = [padded(part, wide, right=at in self.right) for at, (part, wide) in each]
        return (" " * self.gap).join(cells).rstrip()


@dataclass(frozen=True)
class _Column:
    name: str
    values: list[str]

    @property
    def natural(self) -> int:
        """How wide it is on lines of its own."""
        return max(map(width_of, [self.name, *_each_line(self.values)]))

    @property
    def with_wrapped_head(self) -> int:
        return max(map(width_of, [*_head_parts(self.name), *_each_line(self.values)]))

    @property
    def least(self) -> int:
        """The fewest cells in which every value stays readable."""
        head = max(1, *map(width_of, _head_parts(self.name)))
        return head + bisect_left(range(head, self.natural), True, key=self._fits)

    def _fits(self, wide: int) -> bool:
        lines = [value for value in self.values if width_of(value) > wide]
        if any("\n" in value for value in lines):
            return False
        sentences = [_sentence(value, wide) for value in lines if " " in value]
        if any(_too_large(parts, MOST_LINES, wide) for parts in sentences):
            return False
        return self._breaks(wide) or (
            wide >= LEAST_NAME and shortened(self._names, wide) is not None
        )

    def _breaks(self, wide: int) -> bool:
        """Whether its names stand whole in that many cells, on two lines at most."""
        return not any(_too_large(broken(name, wide), MOST_OF_NAME, wide) for name in self._names)

    @property
    def _names(self) -> list[str]:
        return [value for value in self.values if " " not in value]

    def shown(self, wide: int) -> list[list[str]]:
        """The lines of each value in that many cells."""
        if all(width_of(line) <= wide for line in _each_line(self.values)):
            return [value.split("\n") for value in self.values]
        short = {} if self._breaks(wide) else shortened(self._names, wide) or {}
        return [
            [short[value]]
            if value in short
            else _sentence(value, wide)
            if " " in value
            else broken(value, wide)
            for value in self.values
        ]


def _sentence(value: str, wide: int) -> list[str]:
    """Broken at spaces, and in a word that is wider behind its marks."""
    if width_of(value) <= SHORT:
        return [value]
    return [part for line in wrapped(value, wide) for part in broken(line, wide)]


def _too_large(lines: list[str], most: int, wide: int) -> bool:
    return len(lines) > most or any(width_of(line) > wide for line in lines)


def _widths(columns: list[_Column], room: int | None) -> list[int] | None:
    """How wide each column is, None where they do not fit the room."""
    natural = [column.natural for column in columns]
    if room is None or sum(natural) <= room:
        return natural
    widths = [column.with_wrapped_head for column in columns]
    if sum(widths) > room:
        natural, widths = widths, [column.least for column in columns]
    if sum(widths) > room:
        return None
    for _ in range(room - sum(widths)):
        lacking = [full - wide for full, wide in zip(natural, widths, strict=True)]
        most = max(range(len(widths)), key=lacking.__getitem__)
        widths[most] += lacking[most] > 0
    return widths


def _head_parts(name: str) -> list[str]:
    """A header's words; the mark between them stays with the first."""
    return re.findall(r"[^ _]+_?", name) or [""]


def _head(name: str, wide: int) -> list[str]:
    """A header on several lines, broken at spaces, and in a word that is wider behind a _."""
    lines: list[str] = []
    for word in wrapped(name, wide):
        parts = _head_parts(word) if width_of(word) > wide else [word]
        lines.append(parts[0])
        for part in parts[1:]:
            if width_of(f"{lines[-1]}{part}") > wide:
                lines.append(part)
            else:
                lines[-1] += part
    return lines


def _each_line(values: Sequence[str]) -> list[str]:
    return [line for value in values for line in value.split("\n")]


def _lines(value: str, room: int | None) -> list[str]:
    if room is None:
        return value.split("\n")
    return [part for line in value.split("\n") for part in wrapped(line, room, fold=True)]
