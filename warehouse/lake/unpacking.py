"""Rows of Parquet files that anybody may have written, within the memory there is.

A file of some hundred bytes can hold one text a million times. So a footer is looked at before
anything else, and texts are read as what each row points to, before they are spelt out.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.lake.lake import Lake
from warehouse.untrusted import UnfitError, check_shard_unpacked, memory

ROWS_AT_ONCE = 2**14
"""So that the texts of a chunk stay below the 2 GiB that an Arrow array of them may have."""


def open_shard(lake: Lake, path: str) -> pq.ParquetFile:
    """A shard whose pages are held against their checksums. Where it would be too much if each of
    its texts were as long as all of a column, texts come as dictionaries.

    Raises UnfitError for a column of a kind that no shard has: of that one value could be repeated,
    too. Raises OSError and ArrowException.
    """
    source = lake.store.open(path)
    file = pq.ParquetFile(source, page_checksum_verification=True)
    about = file.metadata
    columns = [about.schema.column(i) for i in range(about.num_columns)]
    for column in columns:
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
            raise UnfitError(f"its column {column.path!a} is of a kind that no shard has")
    if _most_of_texts(about) <= memory() // 4:
        return file
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    return pq.ParquetFile(
        source, metadata=about, read_dictionary=texts, page_checksum_verification=True
    )


def _most_of_texts(about: pq.FileMetaData) -> int:
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(about.num_columns)]
    return sum(
        abs(one.num_values) * abs(one.total_uncompressed_size)
        for one in columns
        if one.physical_type == "BYTE_ARRAY"
    )


def read_shard(lake: Lake, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A shard's rows, of these columns those that it has.

    Raises UnfitError for more than a quarter of the memory. Raises OSError and ArrowException.
    """
    with open_shard(lake, path) as file:
        check_shard_unpacked(unpacked(file.metadata))
        held = set(file.schema_arrow.names)
        chosen = None if columns is None else [name for name in columns if name in held]
        return spelt_out(file.read(columns=chosen))


def unpacked(about: pq.FileMetaData, groups: Sequence[int] | None = None) -> int:
    """What row groups of a shard, by default all, take unpacked at least, in bytes, by its footer.

    A page may repeat one value any number of times.
    """
    chosen = range(about.num_row_groups) if groups is None else groups
    columns = [about.row_group(one).column(i) for one in chosen for i in range(about.num_columns)]
    return sum(max(abs(each.total_uncompressed_size), 8 * abs(each.num_values)) for each in columns)


def spelt_out(rows: pa.Table) -> pa.Table:
    """Rows with a text of its own for each, unless these take too much: raises UnfitError."""
    schema = pa.schema([_plain(field) for field in rows.schema])
    if schema.equals(rows.schema):
        return rows
    check_shard_unpacked(sum(_length(chunk) for column in rows.columns for chunk in column.chunks))
    return pa.Table.from_batches(rows.to_batches(ROWS_AT_ONCE), rows.schema).cast(schema)


def _plain(field: pa.Field) -> pa.Field:
    if pa.types.is_list(field.type):
        return field.with_type(pa.list_(_plain(field.type.value_field)))
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _length(values: pa.Array) -> int:
    """Of texts, the bytes that they take spelt out; of lists, those in them."""
    if pa.types.is_list(values.type):
        return _length(values.flatten())
    if not pa.types.is_dictionary(values.type):
        return 0
    lengths = pc.binary_length(values.dictionary).take(values.indices)
    return pc.sum(lengths.cast(pa.int64())).as_py() or 0
