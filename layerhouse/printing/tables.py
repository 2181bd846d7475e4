"""One query result in the formats people and programs read."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from layerhouse.printing.terminal import plain, raw
from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import write_at_once
from warehouse.schema import identifier

if TYPE_CHECKING:
    from warehouse.catalogue import Rows

FORMATS = ("table", "csv", "json", "parquet", "markdown")
TABLE_ROWS = 200
"""A terminal shows this many rows; the machine formats write all of them."""
CELL_WIDTH = 60
"""A terminal shows this many characters of one value."""
GAP = 3
"""Characters between two columns."""


def write_relation(relation: Rows, form: str, stream: IO[str], out: Path | None) -> None:
    """Write `relation` as `form` to the file `out`, or to `stream` where there is none."""
    if form == "parquet":
        if out is None:
            raise UsageError("--format parquet needs a file to write: add --out FILE.parquet")
        _replace(out, lambda path: _parquet(relation, path))
        return
    written = _zones_as_text(relation)
    if out is None:
        _WRITERS[form](written, stream)
    else:
        _replace(out, lambda path: _text(written, form, path))


def _zones_as_text(relation: Rows) -> Rows:
    """Times with a zone as DuckDB writes them: as Python's they would need a package, pytz."""
    zoned = ["TIME ZONE" in str(kind) for kind in relation.types]
    if not any(zoned):
        return relation
    shown = [
        f"{f'CAST(#{place} AS VARCHAR)' if is_zoned else f'#{place}'} AS {identifier(name)}"
        for place, (name, is_zoned) in enumerate(zip(relation.columns, zoned, strict=True), 1)
    ]
    return relation.project(", ".join(shown))  # by place: two columns may have one name


def _replace(out: Path, produce: Callable[[Path], None]) -> None:
    try:
        write_at_once(out, produce)
    except OSError as fault:
        raise LayerhouseError(f"cannot write {out}: {fault.strerror}") from fault


def _parquet(relation: Rows, path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(relation.to_arrow_table(), path)


def _text(relation: Rows, form: str, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        _WRITERS[form](relation, stream)


def _csv(relation: Rows, stream: IO[str]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(relation.columns)
    writer.writerows(relation.iter_rows())


def _json(relation: Rows, stream: IO[str]) -> None:
    names = relation.columns
    before = "["
    for row in relation.iter_rows():
        entry = dict(zip(names, row, strict=True))
        stream.write(before + json.dumps(entry, default=str, ensure_ascii=False))
        before = ",\n "
    stream.write("]\n" if before != "[" else "[]\n")


def cell(value: object) -> str:
    """A value as a person reads it: six significant digits, vectors cut to their first entries."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(cell(entry) for entry in value[:4])
        return f"[{shown}{', …' if len(value) > 4 else ''}] ({len(value)})"
    return str(value)


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[str]]:
    return ([cell(value) for value in row] for row in rows)


def _markdown(relation: Rows, stream: IO[str]) -> None:
    stream.write(f"| {' | '.join(relation.columns)} |\n")
    stream.write(f"|{'|'.join(' --- ' for _ in relation.columns)}|\n")
    for row in _cells(relation.iter_rows()):
        stream.write(f"| {' | '.join(entry.replace('|', chr(92) + '|') for entry in row)} |\n")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A small table of texts on standard output."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in header:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text(plain(entry)) for entry in row))
    # A pipe has no width of its own: there a line is as long as its content.
    console = Console(file=raw(sys.stdout))
    if not console.is_terminal:
        console.width = 240
    console.print(table)


def _table(relation: Rows, stream: IO[str]) -> None:
    """The rows and columns that a terminal can show, and a line on what was left out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=raw(stream))
    rows = relation.limit(TABLE_ROWS + 1).fetchall()
    cells = [[plain(entry) for entry in row] for row in _cells(rows[:TABLE_ROWS])]
    names = [plain(name) for name in relation.columns]
    shown = len(names)
    if console.is_terminal:
        cells = [[_cut(entry) for entry in row] for row in cells]
        shown = _fitting(names, cells, console.width)
    else:
        # A pipe has no width of its own: there a line is as long as its content.
        console.width = sum(_width(names, cells, column) + GAP for column in range(shown)) + 1
    table = Table(header_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, kind in list(zip(names, relation.types, strict=True))[:shown]:
        right = str(kind) in _NUMERIC or str(kind).startswith("DECIMAL")
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(entry) for entry in row[:shown]))
    console.print(table)
    if not rows:
        console.print("no rows", style="dim")
    if shown < len(names):
        left = ", ".join(names[shown:])
        console.print(Text(f"… not shown for want of width: {left}", style="dim"))
    if len(rows) > TABLE_ROWS:
        console.print(
            f"… the first {TABLE_ROWS} rows; --format csv, json or parquet writes all of them",
            style="dim",
        )


def _cut(entry: str) -> str:
    return entry if len(entry) <= CELL_WIDTH else f"{entry[: CELL_WIDTH - 1]}…"


def _width(names: Sequence[str], cells: Sequence[Sequence[str]], column: int) -> int:
    lines = [line for row in cells for line in row[column].splitlines()]
    return max(map(len, [names[column], *lines]))


def _fitting(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> int:
    """How many of the first columns fit side by side, at least one."""
    ends = accumulate(_width(names, cells, column) + GAP for column in range(len(names)))
    return max(1, sum(end - GAP <= width for end in ends))


_NUMERIC = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "FLOAT", "DOUBLE"}
_WRITERS: dict[str, Callable[[Rows, IO[str]], None]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
}
