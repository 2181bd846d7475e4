"""One query result in the formats people and programs read."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from layerhouse.printing.cells import width_on, wrapped
from layerhouse.printing.fitting import RULE, records, table
from layerhouse.printing.terminal import BOLD, DIM, plain, raw, styled, unbroken
from warehouse.errors import UsageError
from warehouse.files import telling_unwritable, write_at_once

if TYPE_CHECKING:
    from warehouse.catalogue import Rows

FORMATS = ("table", "vertical", "csv", "json", "parquet", "markdown")
FORM_OF = {".csv": "csv", ".parquet": "parquet", ".json": "json", ".md": "markdown"}
"""The form in which a result is written to a file, by its suffix."""
TABLE_ROWS = 200
"""A terminal shows this many rows; the machine formats write all of them."""


def write_relation(relation: Rows, form: str, stream: IO[str], out: Path | None) -> None:
    """Write `relation` as `form` to the file `out`, or to `stream` where there is none.

    Raises UsageError for two columns of one name in a form that tells columns apart by these, and
    for a type that the form does not have.
    """
    if form in ("json", "parquet"):
        _refuse_doubled(relation.columns, form)
    if form == "parquet":
        if out is None:
            raise UsageError("--format parquet needs a file to write: add --out FILE.parquet")
        _replace(out, lambda path: _parquet(relation, path))
        return
    written = _as_written(relation)
    if out is None:
        _WRITERS[form](written, unbroken(stream))
    else:
        _replace(out, lambda path: _text(written, form, path))


def _refuse_doubled(names: Sequence[str], form: str) -> None:
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubled:
        raise UsageError(
            f"{names.count(doubled[0])} columns have the name {doubled[0]!r}, by which "
            f"{form} tells them apart; give each a name of its own with AS"
        )


def _as_written(relation: Rows) -> Rows:
    """Times and what lies between them as DuckDB writes them, in lists and structures too: Python
    has neither an infinite one nor nanoseconds nor months, and for zones it needs a package. Of a
    FLOAT the digits that DuckDB writes, few that are read as the same number: Python has doubles
    alone, and 0.10000000149011612 for 0.1.
    """
    from warehouse.schema import identifier  # which brings DuckDB

    shown = [f"#{place}" for place in range(1, len(relation.columns) + 1)]  # two may have one name
    written = list(shown)
    for at, kind in enumerate(relation.types):
        text, found = _told(kind)
        if text != str(kind):
            written[at] = f"CAST(CAST({shown[at]} AS {text}) AS {found})"
    if written == shown:
        return relation
    names = map(identifier, relation.columns)
    named = (f"{entry} AS {name}" for entry, name in zip(written, names, strict=True))
    return relation.project(", ".join(named))


def _told(kind: Any) -> tuple[str, str]:
    """A type of DuckDB with texts in the place of times and FLOATs, and that with texts and doubles
    there; casts from it to the one, and on to the other, go entry by entry."""
    from warehouse.schema import identifier

    if kind.id not in ("list", "array", "map", "struct", "union"):
        is_time = str(kind).startswith(("DATE", "TIME", "INTERVAL"))
        if not is_time and str(kind) != "FLOAT":
            return str(kind), str(kind)
        return "VARCHAR", "VARCHAR" if is_time else "DOUBLE"
    children = dict(kind.children)
    size = children.pop("size", None) if kind.id == "array" else None
    parts = {name: _told(each) for name, each in children.items()}
    if all(parts[name][0] == str(each) for name, each in children.items()):
        return str(kind), str(kind)
    texts, kinds = zip(*parts.values(), strict=True)
    if kind.id == "struct":
        names = [identifier(name) for name in parts]
        text, found = (
            ", ".join(map(" ".join, zip(names, inner, strict=True))) for inner in (texts, kinds)
        )
        return f"STRUCT({text})", f"STRUCT({found})"
    if kind.id == "map":
        return f"MAP({', '.join(texts)})", f"MAP({', '.join(kinds)})"
    if kind.id == "union":
        return "VARCHAR", "VARCHAR"
    return f"{texts[0]}[{size or ''}]", f"{kinds[0]}[{size or ''}]"


def _replace(out: Path, produce: Callable[[Path], None]) -> None:
    with telling_unwritable(out):
        write_at_once(out, produce)


def _parquet(relation: Rows, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    table = relation.to_arrow_table()
    for name, kind in zip(relation.columns, relation.types, strict=True):
        try:
            pyarrow.parquet.write_table(table.select([name]).slice(0, 0), pa.BufferOutputStream())
        except pa.ArrowNotImplementedError as error:
            raise UsageError(
                f"the column {name!r} is of the type {kind}, which cannot be written as Parquet; "
                "make another of it, as CAST(… AS VARCHAR) does"
            ) from error
    pyarrow.parquet.write_table(table, path)


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
        entry = {name: _as_json(value) for name, value in zip(names, row, strict=True)}
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        stream.write(before + _DIGITS.sub(r"\1", text))
        before = ",\n "
    stream.write("]\n" if before != "[" else "[]\n")


_MARK = uuid4().hex
"""Before the digits of a number until it is written: Python's JSON has floats alone."""
_DIGITS = re.compile(rf'"{_MARK}([-\d.]+)"')


def _as_json(value: object) -> Any:
    """A value in what JSON has: what is no number is null, in lists and structures too; times,
    identifiers and the like are texts. A decimal has all its digits."""
    if isinstance(value, Decimal) and value.is_finite():
        return f"{_MARK}{value:f}"
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _as_json(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(entry) for entry in value]
    return value.hex() if isinstance(value, bytes) else str(value)


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
    """A small table of texts on standard output, as wide as the terminal at most."""
    names = [plain(name) for name in header]
    cells = [[plain(entry) for entry in row] for row in rows]
    stream = raw(sys.stdout)
    _lay_out(names, cells, stream, width_on(stream))


def _lay_out(
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    stream: IO[str],
    width: int | None,
    right: Collection[int] = (),
) -> None:
    sheet = table(names, cells, width, right)
    if sheet is None:
        for number, row in enumerate(cells):
            shown = [(name, entry) for name, entry in zip(names, row, strict=True) if entry]
            lines = records([name for name, _ in shown], [entry for _, entry in shown], width)
            stream.write("\n".join([*([""] if number else []), *lines, ""]))
        return
    for line in sheet.header:
        stream.write(f"{styled(line, stream, BOLD)}\n")
    stream.write(f"{RULE * sheet.width}\n")
    stream.writelines(f"{line}\n" for line in sheet.body)


def _table(relation: Rows, stream: IO[str]) -> None:
    """The rows that a terminal can show, and a line on what was left out."""
    _print_rows(relation, raw(stream), vertical=False)


def _vertical(relation: Rows, stream: IO[str]) -> None:
    """The same, each row on lines of its own."""
    _print_rows(relation, raw(stream), vertical=True)


def _print_rows(relation: Rows, stream: IO[str], *, vertical: bool) -> None:
    rows = relation.limit(TABLE_ROWS + 1).fetchall()
    cells = [[plain(entry) for entry in row] for row in _cells(rows[:TABLE_ROWS])]
    names, width = [plain(name) for name in relation.columns], width_on(stream)
    numeric = [str(kind) in _NUMERIC or str(kind).startswith("DECIMAL") for kind in relation.types]
    right = [at for at, is_number in enumerate(numeric) if is_number]
    if vertical or table(names, cells, width, right) is None:
        for number, row in enumerate(cells, 1):
            rule = f"{RULE * 3} {number} ".ljust(min(width or 40, 40), RULE)
            stream.write(f"{styled(rule, stream, BOLD)}\n")
            stream.writelines(f"{line}\n" for line in records(names, row, width))
    else:
        _lay_out(names, cells, stream, width, right)
    if not rows:
        stream.write(f"{styled('no rows', stream, DIM)}\n")
    if len(rows) > TABLE_ROWS:
        told = f"… the first {TABLE_ROWS} rows; --format csv, json or parquet writes all of them"
        for line in wrapped(told, width or len(told)):
            stream.write(f"{styled(line, stream, DIM)}\n")


_NUMERIC = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "FLOAT", "DOUBLE"}
_WRITERS: dict[str, Callable[[Rows, IO[str]], None]] = {
    "table": _table,
    "vertical": _vertical,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
}
