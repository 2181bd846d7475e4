"""Turn rows into immutable Parquet shards in their folders."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.errors import LayerhouseError
from warehouse.schema import PARTITIONS, table_defaults, table_key, table_schema
from warehouse.vocabulary import VECTOR_TABLES

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"
Rows: TypeAlias = "pa.Table | Sequence[Mapping[str, Any]]"

LOCUS_OF = {"activation": ("layer", "readout"), "token_activation": ("layer",)}
"""By table of vectors what tells those apart that are read without each other."""
ORDER_OF = {"activation": ("sample_id",), "token_activation": ("sample_id", "token")}
MOST_OF = {"activation": 256, "token_activation": 2048}
"""Vectors of a row group at most."""


@dataclass(frozen=True)
class Piece:
    """The rows of one shard, with the folder they belong in (relative to the lake)."""

    table: str
    folder: str
    rows: pa.Table


def hive_folder(table: str, values: Mapping[str, str]) -> str:
    """The folder of a partition, e.g. answer/model=tiny%2Bx/dataset=digits."""
    parts = [f"{name}={quote(values[name], safe='')}" for name in PARTITIONS.get(table, ())]
    return "/".join([table, *parts])


def checked_table(table: str, rows: Rows, run_id: str) -> pa.Table:
    """The rows as an Arrow table of exactly the table's schema, the run's id filled in, and what
    has a default and is left out.

    Raises LayerhouseError for missing or unexpected columns, for a missing value where the schema
    needs one, for values of another type, and for numbers that are not finite.
    """
    schema = table_schema(table)
    given: dict[str, Any] = {"run_id": run_id} if "run_id" in schema.names else {}
    filled = _with(_with_defaults(rows, table_defaults(table)), given)
    found = _column_names(filled)
    missing = [name for name in schema.names if name not in found]
    unexpected = sorted(set(found) - set(schema.names))
    if missing or unexpected:
        raise LayerhouseError(
            f"rows of {table} do not fit its schema: missing {_listed(missing)}, "
            f"unexpected {_listed(unexpected)}"
        )
    try:
        if isinstance(filled, pa.Table):
            cast = filled.select(schema.names).cast(_relaxed(schema))
        else:
            plain = [{key: _storable(value) for key, value in row.items()} for row in filled]
            cast = pa.Table.from_pylist(plain, schema=_relaxed(schema))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise LayerhouseError(f"rows of {table} do not fit its schema: {error}") from error
    for field in schema:
        if not field.nullable and cast[field.name].null_count:
            raise LayerhouseError(f"rows of {table} lack a value for {field.name}")
    _refuse_not_finite(table, cast, schema)
    return cast.cast(schema)


def _with_defaults(rows: Rows, defaults: Mapping[str, str | None]) -> Rows:
    if isinstance(rows, pa.Table):
        missing = {k: text for k, text in defaults.items() if k not in rows.column_names}
        return _with(rows, missing)
    return [{**defaults, **row} for row in rows] if defaults else rows


def _with(rows: Rows, values: Mapping[str, Any]) -> Rows:
    """The rows with the same values in each."""
    if not isinstance(rows, pa.Table):
        return [{**row, **values} for row in rows] if values else rows
    for name, value in values.items():
        if name in rows.column_names:
            rows = rows.drop_columns(name)
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


def _column_names(rows: Rows) -> list[str]:
    if isinstance(rows, pa.Table):
        return list(rows.column_names)
    shapes = {tuple(sorted(row)) for row in rows}
    if len(shapes) > 1:
        raise LayerhouseError(f"rows differ in their columns: {' and '.join(map(str, shapes))}")
    return list(shapes.pop()) if shapes else []


def _storable(value: Any) -> Any:
    """JSON columns accept objects; everything else passes."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _relaxed(schema: pa.Schema) -> pa.Schema:
    """The schema without its not-null rules, which Arrow reports without naming the column."""
    return pa.schema(field.with_nullable(True) for field in schema)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _refuse_not_finite(table: str, rows: pa.Table, schema: pa.Schema) -> None:
    for field in schema:
        is_list = pa.types.is_list(field.type)
        if not pa.types.is_floating(field.type.value_type if is_list else field.type):
            continue
        start = 0
        for column in rows[field.name].chunks:
            values = column.flatten() if is_list else column
            if is_list and values.null_count:
                raise LayerhouseError(f"a list of {table}.{field.name} lacks a value")
            known = values.fill_null(0) if values.null_count else values
            place = _not_finite_at(known.to_numpy(zero_copy_only=False))
            if place is not None:
                lengths = (
                    pc.list_value_length(column).fill_null(0) if is_list else np.ones(len(column))
                )
                row = start + int(np.searchsorted(np.cumsum(lengths), place, side="right"))
                raise _not_finite(table, field.name, rows.slice(row, 1).to_pylist()[0])
            start += len(column)


def _not_finite_at(values: Floats) -> int | None:
    """The place of the first that is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum is finite unless a value is not; that it may overflow only costs the second look.
        if np.isfinite(values.sum()):
            return None
    finite = np.isfinite(values)
    return None if finite.all() else int(np.argmin(finite))


def _not_finite(table: str, column: str, row: Mapping[str, Any]) -> LayerhouseError:
    if table in VECTOR_TABLES:
        readout = row.get("readout", "tokens")
        return LayerhouseError(
            f"the activation of {row['model_id']} at {row['module']} layer {row['layer']}, "
            f"readout {readout}, sample {row['sample_id']} holds NaN or Inf; "
            "a wider --dtype often cures it"
        )
    key = ", ".join(f"{name} {row[name]}" for name in table_key(table) if name in row)
    return LayerhouseError(
        f"{column} of {table} holds NaN or Inf ({key}); a wider --dtype of what it was made from "
        "often cures it"
    )


def pieces(table: str, rows: pa.Table, names: Mapping[str, str | None]) -> Iterator[Piece]:
    """Split checked rows into one piece per hive folder.

    `names` gives the run's model_id and dataset_id, for tables whose folders are named after them
    without a column of that name. Partition columns are dropped: the folder's name holds them.
    """
    columns = PARTITIONS.get(table, {})
    inside = [column for column in columns.values() if column in rows.column_names]
    fixed = {hive: names.get(column) for hive, column in columns.items() if column not in inside}
    if None in fixed.values():
        raise LayerhouseError(f"rows of {table} need a run that names its model and dataset")
    for values, part in _groups(rows, inside):
        folder_values = {
            hive: str(fixed.get(hive) or values.get(column)) for hive, column in columns.items()
        }
        yield Piece(table, hive_folder(table, folder_values), part.drop_columns(inside))


def _groups(rows: pa.Table, columns: list[str]) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    if not rows.num_rows:
        return
    if not columns:
        yield {}, rows
        return
    for values in (
        rows.select(columns).group_by(columns, use_threads=False).aggregate([]).to_pylist()
    ):
        mask = pc.equal(rows[columns[0]], values[columns[0]])
        for column in columns[1:]:
            mask = pc.and_(mask, pc.equal(rows[column], values[column]))
        yield values, _kept(rows, mask)


def _kept(rows: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The rows of the mask; without copying any vector where they lie together, as units' do."""
    places = np.flatnonzero(mask.to_numpy())
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return rows.slice(int(places[0]), len(places))
    return rows.filter(mask)


def write_parquet(path: Path, piece: Piece) -> None:
    """Write a piece under exactly this name: zstd level 1, one row group per locus of vectors."""
    if piece.table in VECTOR_TABLES:
        _write_vectors(path, piece)
    else:
        pq.write_table(
            piece.rows, path, compression="zstd", compression_level=1, write_page_checksum=True
        )


def _write_vectors(path: Path, piece: Piece) -> None:
    """One (layer, readout) a row group, so that a locus is read without touching the rest.

    No dictionary and no statistics on the vectors: both cost space and say nothing about floats.
    """
    rows, columns = piece.rows, (*LOCUS_OF[piece.table], *ORDER_OF[piece.table])
    order = pc.sort_indices(rows, [(name, "ascending") for name in columns])
    in_order = bool((np.diff(order.to_numpy()) == 1).all())
    ordered = rows if in_order else rows.take(order)  # which copies all vectors
    plain = [name for name in ordered.column_names if name != "vector"]
    writer = pq.ParquetWriter(
        path,
        ordered.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=plain,
        write_statistics=plain,
        column_encoding={"vector.list.element": "BYTE_STREAM_SPLIT"},
        write_page_checksum=True,
    )
    with writer:
        for start, stop in _row_groups(ordered, piece.table):
            writer.write_table(ordered.slice(start, stop - start), row_group_size=stop - start)


def _row_groups(ordered: pa.Table, table: str) -> Iterator[tuple[int, int]]:
    columns = [ordered[name].to_numpy() for name in LOCUS_OF[table]]
    differs = np.any([values[1:] != values[:-1] for values in columns], axis=0)
    changes = np.flatnonzero(differs) + 1
    for start, stop in pairwise([0, *changes.tolist(), ordered.num_rows]):
        for first in range(start, stop, MOST_OF[table]):
            yield first, min(first + MOST_OF[table], stop)
