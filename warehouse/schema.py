"""The tables of the lake, as the migrations in sql/schema define them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import pyarrow as pa

SQL_ROOT = Path(__file__).resolve().parent.parent / "sql"

BOOKKEEPING = frozenset(
    {
        *("schema_migration", "catalogue_build", "commit_record", "compaction", "shard"),
        *("unbuilt_view", "record_file"),
    }
)


FACT_KEYS = {
    "activation": ("model_id", "dataset_id", "module", "layer", "readout", "sample_id"),
    "token_activation": ("model_id", "dataset_id", "module", "layer", "sample_id", "token"),
    "answer": (
        *("model_id", "dataset_id", "sample_id", "method"),
        *("prompt_id", "option_order", "image_control"),
    ),
    "logit_lens": ("model_id", "dataset_id", "layer", "sample_id"),
    "probe_logit": ("probe_id", "sample_id"),
    "baseline_logit": ("baseline_id", "sample_id"),
    "fold_logit": ("fold_probe_id", "sample_id"),
}

SAMPLE_COLUMNS = ("sample_id", "other_sample_id", "donor_id")
"""The columns that name a sample, in whatever table."""

REPLACED_FACTS = ("answer",)
"""Facts whose rows a later commit may replace; it says so in what it covers, under `replaces`."""

# Hive folder name → the column it holds. The logit tables have no such columns: their folders only
# let a reader skip files, and are named after the run.
PARTITIONS = {
    "activation": {"model": "model_id", "dataset": "dataset_id", "module": "module"},
    "token_activation": {"model": "model_id", "dataset": "dataset_id", "module": "module"},
    "answer": {"model": "model_id", "dataset": "dataset_id"},
    "logit_lens": {"model": "model_id", "dataset": "dataset_id"},
    "probe_logit": {"model": "model_id", "dataset": "dataset_id"},
    "baseline_logit": {"dataset": "dataset_id"},
    "fold_logit": {"model": "model_id", "dataset": "dataset_id"},
}


UNKNOWN_PLACES = frozenset({("token_activation", "row"), ("token_activation", "column")})
"""The columns of vectors that may lack a value: views cannot say so themselves."""


@dataclass(frozen=True)
class Migration:
    """One file of sql/schema."""

    name: str
    sql: str

    @property
    def hash(self) -> str:
        return blake2b(self.sql.encode(), digest_size=16).hexdigest()


def migrations(folder: Path | None = None) -> list[Migration]:
    """All migrations in order; each is named NNNN_what.sql, numbered 0000, 0001, …"""
    paths = sorted((folder or SQL_ROOT / "schema").glob("*.sql"))
    for number, path in enumerate(paths):
        if not re.fullmatch(rf"{number:04d}_[a-z0-9_]+", path.stem):
            raise LayerhouseError(f"the migration {path.name} must be named {number:04d}_….sql")
    return [Migration(path.stem, path.read_text(encoding="utf-8")) for path in paths]


@cache
def newest_migration() -> str:
    return migrations()[-1].name


def tables_since(name: str) -> list[str]:
    """The tables of the lake that came with later migrations than this."""
    later = " ".join(one.sql for one in migrations() if one.name > name)
    made = re.findall(r"CREATE TABLE (\w+)", later)
    return [table for table in tables() if table in made]


def pending(
    con: duckdb.DuckDBPyConnection, known: Iterable[Migration], where: Path
) -> list[Migration]:
    """The migrations that the open catalogue still lacks.

    `where` names the catalogue in errors. Raises LayerhouseError if it was built by a newer
    Layerhouse, or if a migration was edited after it had been applied.
    """
    known = list(known)
    applied = dict(con.execute("SELECT name, hash FROM schema_migration").fetchall())
    refuse_newer(applied, known, f"the catalogue {where}")
    for migration in known:
        if applied.get(migration.name, migration.hash) != migration.hash:
            raise LayerhouseError(
                f"sql/schema/{migration.name}.sql was edited after it had been applied to {where}; "
                "undo the edit and add a new migration instead, or delete that catalogue, which is "
                "then rebuilt from the shards"
            )
    return [migration for migration in known if migration.name not in applied]


def refuse_newer(
    names: Iterable[str], known: Iterable[Migration], what: str, verb: str = "built"
) -> None:
    """Raise LayerhouseError if `names` holds a migration that this Layerhouse does not have."""
    unknown = set(names) - {migration.name for migration in known}
    if unknown:
        raise LayerhouseError(
            f"{what} was {verb} by a newer Layerhouse (its schema has {min(unknown)}); "
            "upgrade Layerhouse to read it"
        )


def apply(con: duckdb.DuckDBPyConnection, wanted: Iterable[Migration]) -> None:
    """Run migrations in order and record each with its hash."""
    for migration in wanted:
        con.execute(migration.sql)
        con.execute(
            "INSERT INTO schema_migration VALUES (?, ?, now()::TIMESTAMP)",
            [migration.name, migration.hash],
        )


@cache
def _definitions() -> tuple[
    dict[str, "pa.Schema"], dict[str, tuple[str, ...]], dict[str, dict[str, str | None]]
]:
    """Arrow schema, primary key and defaults of every table, read off an empty catalogue."""
    import pyarrow as pa

    with duckdb.connect() as con:
        apply(con, migrations())
        required = set(
            con.execute(
                "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT is_nullable"
            ).fetchall()
        )
        keys = con.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
        defaults = con.execute(
            "SELECT table_name, column_name, column_default FROM duckdb_columns() "
            "WHERE starts_with(column_default, chr(39)) OR column_default = 'NULL'"
        ).fetchall()
        names = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
        schemas = {}
        for name in names:
            empty = con.sql(f"FROM {name} LIMIT 0").to_arrow_table().schema
            schemas[name] = pa.schema(
                pa.field(
                    column.name,
                    _storage_type(column.type),
                    nullable=(name, column.name) not in required
                    and (name not in VECTOR_TABLES or (name, column.name) in UNKNOWN_PLACES),
                )
                for column in empty
            )
    primary = {name: tuple(columns) for name, columns in keys}
    texts: dict[str, dict[str, str | None]] = {}
    for table, name, default in defaults:
        texts.setdefault(table, {})[name] = None if default == "NULL" else default.strip("'")
    return schemas, primary | FACT_KEYS, texts


def quoted(text: str) -> str:
    """`text` as an SQL string, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as an SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _storage_type(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    return pa.list_(type_.value_type) if pa.types.is_list(type_) else type_


@cache
def tables() -> list[str]:
    """The tables that agents may write, those of vectors among them.

    Read off the migrations' text: to run them takes longer than most queries.
    """
    made = set(VECTOR_TABLES)
    for migration in migrations():
        found = re.findall(r"^(CREATE|DROP) TABLE (\w+)", migration.sql, re.MULTILINE)
        made |= {name for verb, name in found if verb == "CREATE"}
        made -= {name for verb, name in found if verb == "DROP"}
    return sorted(made - BOOKKEEPING)


def table_schema(table: str) -> "pa.Schema":
    """The Arrow schema of a table, partition columns included. Raises UsageError if unknown."""
    schemas = _definitions()[0]
    if table not in schemas:
        raise UsageError(f"there is no table {table!r}{nearest(table, schemas)}")
    return schemas[table]


def names_samples(table: str) -> bool:
    """Whether the rows of a table are of samples of a dataset that they or their folders name."""
    held = {*table_schema(table).names, *PARTITIONS.get(table, {}).values()}
    return "dataset_id" in held and not held.isdisjoint(SAMPLE_COLUMNS)


def table_defaults(table: str) -> dict[str, str | None]:
    """What columns that a migration added with a default hold where a row does not name them."""
    return _definitions()[2].get(table, {})


def table_key(table: str) -> tuple[str, ...]:
    """The columns whose values no two rows of a table share."""
    return _definitions()[1][table]
