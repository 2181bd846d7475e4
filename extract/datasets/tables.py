"""Tables of images as they are written down: CSV and its kin, Parquet, JSON.

Read strictly: a row with other cells than the header has columns, a quote that nobody closes, text
of another encoding are errors that name the line, since each of them would move labels to images
they do not belong to.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.datasets.decoding import decoded_text
from extract.datasets.objects import rows_of
from extract.datasets.source import ReadOptions
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import check_unpacked, what_instead

if TYPE_CHECKING:
    import numpy as np

_TEXT = {".csv": ",", ".tsv": "\t"}
_OBJECTS = {".json", ".jsonl", ".ndjson"}
SUFFIXES = {*_TEXT, *_OBJECTS, ".parquet"}

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
MISSING = frozenset(
    (
        *("", "nan", "-nan", "null", "none", "na", "n/a", "<na>", "#n/a", "#na", "nat", "nil", "?"),
        *("#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!", "#n/a!"),
    )
)
"""How programs write that there is no value, in lower case."""

YES, NO = frozenset(("1", "true", "yes", "t", "y")), frozenset(("0", "false", "no", "f", "n"))
"""How cells say yes and no, in lower case."""

ROWS_AT_ONCE = 1024
BYTES_OF_CELL = 64  # as Python holds it, at least
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")


@dataclass(frozen=True)
class LabelTable:
    """Rows by column as they were found; `places` says where each of them begins."""

    path: Path
    columns: list[str]
    rows: list[dict[str, Any]]
    places: list[str]

    def cells(self, column: str) -> list[Any]:
        return [row.get(column) for row in self.rows]

    def __post_init__(self) -> None:
        """Whole numbers lose the `.0` that gaps in a column bring, in text as in floats."""
        for column in self.columns:
            held = [cell for cell in self.cells(column) if not is_missing(cell)]
            if all(isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) for cell in held):
                for row in self.rows:
                    if isinstance(cell := row.get(column), str):
                        row[column] = re.sub(r"\.0*\s*$", "", cell)

    def place(self, index: int) -> str:
        return f"{self.places[index]} of {self.path}"


_UNSEEN = " \t\r\n\v\f\xa0\u2028\u2029\u3000\u200b\u200e\u200f\u2060\ufeff"
"""Spaces, and signs that have no width, around what a cell says."""


def text(value: Any) -> str:
    """A cell as text: nothing for None and NaN, whole numbers without the `.0` that gaps bring.

    A float so large that not all whole numbers are floats keeps its exponent, which tells it from
    a number that was not rounded.
    """
    if value is None or value != value:
        return ""
    is_rounded = isinstance(value, float) and abs(value) >= 1e16
    if isinstance(value, float | Decimal) and value % 1 == 0 and not is_rounded:
        return str(int(value))
    return str(value).strip(_UNSEEN)


def is_missing(value: Any) -> bool:
    """Whether a cell holds no value, however that is written."""
    return not isinstance(value, list | tuple | dict) and text(value).casefold() in MISSING


def present(cells: Iterable[Any]) -> list[str]:
    """What the cells say that hold a value, as text."""
    return [text(cell) for cell in cells if not is_missing(cell)]


def read_table(path: Path, reading: ReadOptions) -> LabelTable:
    """All rows of a table; LayerhouseError with the line for what cannot be read for certain."""
    suffix = path.suffix.lower()
    for option in ("encoding", "delimiter"):
        if getattr(reading, option) and suffix not in _TEXT:
            raise UsageError(f"--{option} is for CSV files; {path} is none")
    if (what := what_instead(path)) is not None:
        raise LayerhouseError(f"{path} is {what}")
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in _OBJECTS:
        return _objects(path)
    return _delimited(path, reading)


def _delimited(path: Path, reading: ReadOptions) -> LabelTable:
    usual = _TEXT[path.suffix.lower()]
    delimiter = _delimiter(reading.delimiter) if reading.delimiter else usual
    content = decoded_text(path, reading.encoding)
    told = re.match(r"sep=(.)\r?\n", content)  # how Excel notes what separates the cells
    if told:
        delimiter, content = told[1], f"\n{content[told.end() :]}"
    records = _records(path, content, delimiter)
    _, header = next(records, (1, []))
    columns = [_plain(name.strip()) for name in header]
    if reading.delimiter is None and not told and len(columns) == 1:
        _refuse_other_delimiter(path, columns[0], usual, usual in content)
    _refuse_doubled(path, columns)
    rows, lines, uneven = [], [], []
    for line, cells in records:
        if len(cells) != len(columns):
            uneven.append((line, len(cells)))
            continue
        cleaned = (_plain(cell.strip()) for cell in cells)
        rows.append({k: v for k, v in zip(columns, cleaned, strict=True) if k})
        lines.append(f"line {line}, row {len(rows)}")
    if uneven:
        line, n = uneven[0]
        more = f", as have {len(uneven) - 1:,} more lines" if len(uneven) > 1 else ""
        if len(columns) == 1 and len(uneven) > len(rows):
            raise LayerhouseError(
                f"line 1 of {path} names one column, {columns[0]!r}, and line {line} has {n} "
                "cells; take out what stands before the line that names the columns"
            )
        raise LayerhouseError(
            f"line {line} of {path} has {n} cells where the header has {len(columns)}{more}; put "
            f"quotes around cells that hold a {_DELIMITERS.get(delimiter, delimiter)}, or name "
            "what separates cells with --delimiter"
        )
    return LabelTable(path, [name for name in columns if name], rows, lines)


def _plain(cell: str) -> str:
    """A cell without what keeps Excel from taking its text for a number: `="007"` is 007."""
    kept = re.fullmatch(r'="([^"]*)"', cell)
    return kept[1] if kept else cell


def _records(path: Path, content: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every record that is no blank line."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = (
                "a quote that is opened there is never closed"
                if "unexpected end of data" in str(error)
                else f"the quotes there do not match ({error})"
            )
            raise LayerhouseError(f"line {line} of {path} cannot be read: {reason}") from error
        if any(map(str.strip, cells)):  # spreadsheets end in rows of nothing
            yield line, cells


def _delimiter(name: str) -> str:
    words = {word: sign for sign, word in _DELIMITERS.items()} | {"\\t": "\t", "space": " "}
    sign = words.get(name.lower(), name)
    if len(sign) != 1:
        raise UsageError(f"--delimiter {name!r} is neither one character nor {', '.join(words)}")
    return sign


def _refuse_other_delimiter(path: Path, header: str, usual: str, is_below: bool) -> None:
    """LayerhouseError for a header of one cell that holds another sign than the usual one.

    Words in it may be a title, where the usual sign `is_below`.
    """
    for sign, word in {",": "','", ";": "';'", "\t": "tab", "|": "'|'", " ": "space"}.items():
        if sign in header and not (sign == " " and is_below):
            raise LayerhouseError(
                f"line 1 of {path} has no {_DELIMITERS[usual]} but holds {sign!r}; if that "
                f"separates its cells, add --delimiter {word}"
            )


def _refuse_doubled(path: Path, columns: list[str]) -> None:
    named = Counter(name for name in columns if name)
    if named and (most := named.most_common(1)[0])[1] > 1:
        raise LayerhouseError(
            f"{path} has {most[1]} columns called {most[0]}; give every column a name of its own"
        )


def _objects(path: Path) -> LabelTable:
    placed = rows_of(path, decoded_text(path, None))
    columns = dict.fromkeys(name for _, row in placed for name in row)
    return LabelTable(path, list(columns), [row for _, row in placed], [at for at, _ in placed])


def _parquet(path: Path) -> LabelTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = _bounded(pq.ParquetFile(path), path)
    except (pa.ArrowInvalid, OSError) as error:
        raise LayerhouseError(f"{path} is not a readable Parquet file: {error}") from error
    _refuse_doubled(path, table.column_names)
    held = {name: _decoded_cells(cells_of(table.column(name))) for name in table.column_names}
    rows = [dict(zip(held, cells, strict=True)) for cells in zip(*held.values(), strict=True)]
    return LabelTable(path, table.column_names, rows, [f"row {n + 1}" for n in range(len(rows))])


def _bounded(file: Any, path: Path) -> Any:
    """All rows, as far as they fit into memory: a few bytes may stand for very many."""
    import pyarrow as pa

    parts, held = [file.schema_arrow.empty_table()], 0
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
        table = pa.Table.from_batches([batch])
        parts.append(table)
        lengths = (_spelt_out(column).nbytes for column in table.columns)
        held += sum(lengths) + table.num_rows * table.num_columns * BYTES_OF_CELL
        check_unpacked(str(path), held)
    return pa.concat_tables(parts)


def _spelt_out(column: Any) -> Any:
    import pyarrow as pa

    is_short = pa.types.is_dictionary(column.type)
    return column.cast(column.type.value_type) if is_short else column


def cells_of(column: Any) -> list[Any]:
    """The values of an Arrow column; of floats of few bits the numbers that a person wrote."""
    return _as_written(column.to_pylist(), column.type)


def _as_written(cells: list[Any], kind: Any) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _as_written(cells, kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [None if cell is None else _as_written(cell, kind.value_type) for cell in cells]
    if not (pa.types.is_float32(kind) or pa.types.is_float16(kind)):
        return cells
    short = np.float32 if pa.types.is_float32(kind) else np.float16
    return [None if cell is None else _shortest(short(cell)) for cell in cells]


def _shortest(number: np.floating) -> float | str:
    """0.3 for 0.30000001192092896; with an exponent where not all whole numbers can be told."""
    import numpy as np

    if abs(number) >= 2 ** (np.finfo(number.dtype).nmant + 1) and np.isfinite(number):
        return np.format_float_scientific(number, trim="-")
    return float(str(number))


def image_column(path: Path) -> str | None:
    """The column in which a Parquet file holds the images themselves, as those of the hub do.

    None where another one is called `image_path`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix.lower() != ".parquet":
        return None
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError):
        return None
    for field in schema:
        if "image_path" in schema.names and field.name != "image_path":
            continue
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
        is_bytes = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
        if is_bytes and names_images(field.name):
            return str(field.name)
    return None


def names_images(column: str) -> bool:
    """Whether a column's name promises images where it holds bytes."""
    return bool(re.fullmatch(r"(image|img|picture|photo|jpe?g|png)s?", column.lower()))


def _decoded_cells(cells: list[Any]) -> list[Any]:
    """Some writers store text as bytes; what is no text, such as an image, stays bytes."""
    try:
        return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
    except UnicodeDecodeError:
        return cells
