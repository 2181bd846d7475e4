"""Which files show the rows of a table as the catalogue has them.

They are the committed shards wherever each of a shard's rows counts and lacks nothing. Where later
commits replaced some, samples were removed, or older shards lack what is filled in by default, the
rows of that folder are written once more, to a file that only the Delta log names: a reader of the
format has no views, and of those who read it not all know of rows left out of a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.delta.folders import partition_values
from warehouse.errors import LayerhouseError
from warehouse.files import inside, make_folder, write_at_once
from warehouse.lake import Lake, Piece, named_removed, read_shard, write_parquet
from warehouse.schema import (
    PARTITIONS,
    identifier,
    newest_migration,
    table_defaults,
    table_key,
    table_schema,
)
from warehouse.storage import DELTA_ROWS, Shard
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LAYOUT = "1"
"""Changes whenever the same shards are to be shown by other files."""

Marks = dict[str, set[str]]
"""By dataset those of its samples that were removed."""


@dataclass(frozen=True)
class DataFile:
    """One file of a Delta table: `path` is relative to the table's folder, `values` are those of
    its partition."""

    path: str
    rows: int
    bytes: int
    values: dict[str, str]


@dataclass(frozen=True)
class Shown:
    """What the catalogue holds of a table: its shards by their folders, and what was removed."""

    lake: Lake
    con: duckdb.DuckDBPyConnection
    table: str
    folders: dict[str, list[Shard]]
    marks: Marks

    @classmethod
    def by(cls, lake: Lake, con: duckdb.DuckDBPyConnection, table: str) -> Shown:
        """Of an open catalogue."""
        folders: dict[str, list[Shard]] = defaultdict(list)
        for row in con.execute(_SHARDS, [table]).fetchall():
            folders[row[0].rpartition("/")[0]].append(Shard(table, *row))
        marks: Marks = defaultdict(set)
        for dataset, mark in con.execute("SELECT dataset_id, mark FROM removed_sample").fetchall():
            marks[dataset].add(mark)
        return cls(lake, con, table, dict(folders), marks)

    @property
    def state(self) -> str:
        """Another one whenever the table may be shown by other files; first the migration that the
        tables are of."""
        return f"{newest_migration()} " + _digest(
            *(LAYOUT, newest_migration()),
            *(f"{one.path} {one.checksum}" for folder in self.folders.values() for one in folder),
            *sorted(mark for marks in self.marks.values() for mark in marks),
        )

    def files(self) -> Iterator[DataFile]:
        """Those that show its rows; what is in no shard as it is gets written. Raises
        LayerhouseError for a shard that cannot be read."""
        for folder, shards in self.folders.items():
            if self.table in VECTOR_TABLES:
                marks = self.marks.get(partition_values(f"{folder}/")["dataset"], set())
                for shard in shards:
                    yield from self._vectors(shard, marks)
            elif self._stand_alone(folder, shards):
                yield from map(_as_it_is, shards)
            else:
                yield from self._anew(folder, shards)

    def _vectors(self, shard: Shard, marks: Collection[str]) -> Iterator[DataFile]:
        """A shard, or what is left of it without removed samples."""
        names = read_shard(self.lake, shard.path, ["sample_id"]) if marks else None
        if names is None or not (gone := named_removed(names, marks)).any():
            yield _as_it_is(shard)
            return
        kept = read_shard(self.lake, shard.path).filter(~gone)
        if kept.num_rows:
            folder = shard.path.rpartition("/")[0]
            path = self._place(folder, [shard])
            piece = Piece(self.table, folder, kept)
            if not path.exists():
                write_at_once(path, lambda draft: write_parquet(draft, piece), durably=True)
            yield self._written(path, kept.num_rows, folder)

    def _stand_alone(self, folder: str, shards: Sequence[Shard]) -> bool:
        """Whether the catalogue has just the rows of these shards, and as they are there."""
        if self.table == "dataset" and self.marks:  # of which it counts fewer samples
            return False
        if any(_lacks(self.lake, shard) for shard in shards):
            return False
        where, values = self._where(folder)
        if where is None:  # logits, of which none is replaced and which name no sample's dataset
            return True
        count = f"SELECT count(*) FROM {identifier(self.table)} WHERE {where}"
        [(held,)] = self.con.execute(count, values).fetchall()
        return bool(held == sum(shard.rows for shard in shards))

    def _where(self, folder: str) -> tuple[str | None, list[str]]:
        """What tells a folder's rows from the table's others, if its columns do."""
        hive, names = PARTITIONS.get(self.table, {}), table_schema(self.table).names
        if not set(hive.values()) <= set(names):
            return None, []
        said = partition_values(f"{folder}/")
        tests = [f"{identifier(column)} = ?" for column in hive.values()]
        return " AND ".join(tests) or "true", [said[name] for name in hive]

    def _anew(self, folder: str, shards: Sequence[Shard]) -> Iterator[DataFile]:
        """The catalogue's rows of a folder, in a file of their own."""
        import pyarrow.parquet as pq

        where, values = self._where(folder)
        schema = stored_schema(self.table)
        chosen = ", ".join(map(identifier, schema.names))
        order = ", ".join(map(identifier, table_key(self.table)))
        query = f"SELECT {chosen} FROM {identifier(self.table)} WHERE {where} ORDER BY {order}"
        rows = self.con.sql(query, params=values).to_arrow_reader()
        path, n = self._place(folder, shards), 0

        def write(draft: Path) -> None:
            nonlocal n
            with pq.ParquetWriter(draft, schema, compression="zstd", compression_level=1) as out:
                for batch in rows:
                    n += batch.num_rows
                    out.write_batch(batch.cast(schema))

        write_at_once(path, write, durably=True)
        if n:
            yield self._written(path, n, folder)
        else:
            path.unlink()

    def _place(self, folder: str, shards: Sequence[Shard]) -> Path:
        """Of the rows of these shards; named after them, so that another state is another file."""
        marks = sorted(mark for marks in self.marks.values() for mark in marks)
        said = (f"{one.path} {one.checksum}" for one in shards)
        name = _digest(LAYOUT, newest_migration(), *said, *marks)
        inner = folder.partition("/")[2]
        place = f"{self.table}/{DELTA_ROWS}/{inner}".rstrip("/")
        made = inside(self.lake.root, place)
        make_folder(made)
        return made / f"rows-{name}.parquet"

    def _written(self, path: Path, rows: int, folder: str) -> DataFile:
        inner = path.relative_to(self.lake.root / self.table).as_posix()
        return DataFile(inner, rows, path.stat().st_size, partition_values(f"{folder}/"))


_SHARDS = """
SELECT path, n_rows, n_bytes, checksum FROM shard WHERE table_name = $1 ORDER BY path
"""


def stored_schema(table: str) -> pa.Schema:
    """What a table's files hold: all columns but those that its folders name. None need have a
    value, as no reader asks, and a column that a migration added is in no older file."""
    import pyarrow as pa

    inside_folders = set(PARTITIONS.get(table, {}).values())
    fields = [field for field in table_schema(table) if field.name not in inside_folders]
    return pa.schema([field.with_nullable(True) for field in fields])


def _as_it_is(shard: Shard) -> DataFile:
    inner = shard.path.partition("/")[2]
    return DataFile(inner, shard.rows, shard.bytes, partition_values(shard.path))


def _lacks(lake: Lake, shard: Shard) -> bool:
    """Whether a shard lacks a value of a column with a default, which readers would not fill in."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filled = [name for name, text in table_defaults(shard.table).items() if text is not None]
    if not filled:
        return False
    try:
        about = pq.read_metadata(inside(lake.root, shard.path))
    except (OSError, pa.ArrowException) as error:
        raise LayerhouseError(
            f"the shard {shard.path} of {lake} cannot be read; run `layerhouse status --repair` "
            "and then the command that made it again"
        ) from error
    places = {about.schema.column(i).path: i for i in range(about.num_columns)}
    return any(
        name not in places
        or any(
            _has_null(about.row_group(g).column(places[name])) for g in range(about.num_row_groups)
        )
        for name in filled
    )


def _has_null(column: object) -> bool:
    said = getattr(column, "statistics", None)
    return said is None or not said.has_null_count or said.null_count > 0


def _digest(*said: str) -> str:
    return blake2b("\0".join(said).encode(), digest_size=16).hexdigest()
