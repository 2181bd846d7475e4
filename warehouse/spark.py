"""The lake read by Spark: the same committed shards, and the views and marts of sql/ over them.

Needs pyspark, sqlglot and a Java: pip install 'layerhouse[spark]'. The views are in DuckDB's
SQL; sqlglot turns them into Spark's. A view that uses what Spark has no counterpart for (functions
of lists, mostly) is taken from the catalogue, so that those that read it run on Spark all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from warehouse.catalogue import Definitions, connect, references
from warehouse.errors import LayerhouseError
from warehouse.lake import Commit, Lake, bookkeeping, latest_dataset, list_records, parts
from warehouse.schema import (
    FACT_KEYS,
    PARTITIONS,
    REPLACED_FACTS,
    SAMPLE_COLUMNS,
    quoted,
    table_defaults,
    table_key,
    table_schema,
    tables,
)
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import pyarrow as pa

_MACRO = re.compile(r"CREATE OR REPLACE MACRO (\w+)\(([^)]*)\) AS\s+(?!TABLE)(.+?);?\s*$", re.S)
_TYPES = {
    "string": "string",
    "int32": "int",
    "int64": "bigint",
    "double": "double",
    "float": "float",
    "bool": "boolean",
    "timestamp[us]": "timestamp_ntz",
}
"""Spark's names of Arrow's types."""

_NAMES = {
    "hash": "xxhash64",  # another number, by which the same sets of names are told apart
    "list_extract": "try_element_at",
    "list_position": "array_position",
}
"""Spark's names of DuckDB's functions that sqlglot does not know."""

EVEN = "bround"


def spark_views(spark: Any, lake: Lake, root: str | None = None) -> dict[str, str]:
    """Temporary views of all tables, views and marts of the lake in a Spark session.

    `root` is where Spark finds the lake's files, if not in its own folder: a URL that all its
    machines reach, such as s3a://bucket/lake. Only shards that a commit names are read, as of now;
    nothing is computed before a view is asked for. Returns the views that the catalogue computed
    instead of Spark, each with the reason. Raises LayerhouseError where sqlglot is missing.
    """
    spark_tables(spark, lake, root)
    definitions = Definitions()
    queries, graph = _ordered(definitions)
    readers = Counter(name for read in graph.values() for name in read)
    taken: dict[str, str] = {}
    for name in graph:
        try:
            view = _planned(spark, to_spark(queries[name], definitions.macros))
        except LayerhouseError as error:
            taken[name] = str(error)
            view = spark.createDataFrame(_from_catalogue(lake, name))
        if readers[name]:
            # Else each reader's plan would hold the plans of all it reads, over and over.
            view = view.localCheckpoint(eager=False)
        view.createOrReplaceTempView(name)
    return taken


def spark_tables(spark: Any, lake: Lake, root: str | None = None) -> None:
    """Temporary views of the lake's tables alone; see spark_views."""
    commits = list_records(lake)
    for name, rows in _commit_rows(commits).items():
        spark.createDataFrame(rows).createOrReplaceTempView(name)
    spark.createDataFrame(_part_rows(commits)).createOrReplaceTempView("__part")
    place = root.rstrip("/") if root is not None else str(lake.root)
    for table in tables():
        paths = [s.path for c in commits for s in c.shards if s.table == table]
        rows = _table(spark, table, place, paths)
        _without_removed(rows, table, commits).createOrReplaceTempView(table)


def _planned(spark: Any, query: str) -> Any:
    """The query as Spark would run it. Raises LayerhouseError for what Spark does not know."""
    from pyspark.errors import AnalysisException

    try:
        return spark.sql(query)
    except AnalysisException as error:
        said = " ".join(str(error).split(" on search path")[0].split())[:200]
        raise LayerhouseError(f"not in Spark's SQL: {said}") from error


def to_spark(query: str, macros: Mapping[str, str] | None = None) -> str:
    """A query in DuckDB's SQL as Spark's; `macros` that it calls, by their names, are written out.

    Raises LayerhouseError naming what has no counterpart.
    """
    try:
        import sqlglot
    except ImportError as error:
        raise LayerhouseError(
            "views for Spark need sqlglot; install it with: pip install 'layerhouse[spark]'"
        ) from error
    try:
        tree = _written_out(sqlglot.parse_one(query, read="duckdb"), macros or {})
        tree = tree.transform(_adapted)
        strange = {call.name.lower() for call in tree.find_all(sqlglot.exp.Anonymous)}
        text = tree.sql("spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError as error:
        said = " ".join(str(error).split()) or "something that sqlglot does not name"
        raise LayerhouseError(f"not in Spark's SQL: {said}") from error
    unknown = sorted(strange - {*_NAMES.values(), EVEN})
    if unknown:
        raise LayerhouseError(f"not in Spark's SQL: {', '.join(unknown)}")
    return str(text)


def _written_out(tree: Any, macros: Mapping[str, str]) -> Any:
    """What is called in it, innermost first, as the macros have it; a function of Spark's would
    need a type for each of its parameters."""
    from sqlglot import exp, parse_one

    for call in reversed(list(tree.find_all(exp.Anonymous))):
        found = _MACRO.match(re.sub(r"--[^\n]*\n", "", macros.get(call.name.lower(), "")).strip())
        if found is None:
            continue
        given = dict(zip(re.findall(r"\w+", found[2]), call.expressions, strict=True))
        body = exp.paren(_written_out(parse_one(found[3], read="duckdb"), macros))
        for column in list(body.find_all(exp.Column)):
            column.replace(exp.paren(given[column.name]))
        call.replace(body)
    return tree


def _adapted(node: Any) -> Any:
    """What sqlglot leaves as it is: the match of a whole text, a hint to keep rows, numbers in
    texts, and what Spark has under another name. Raises SqlglotError for places in lists, which it
    would count from one in Spark too."""
    from sqlglot import exp
    from sqlglot.errors import UnsupportedError

    if isinstance(node, exp.CTE):
        node.set("materialized", None)
    if isinstance(node, exp.Anonymous):
        node.set("this", _NAMES.get(node.name.lower(), node.name))
    if isinstance(node, exp.Bracket):
        raise UnsupportedError("a place in a list; list_extract has a counterpart")
    if isinstance(node, exp.Format):
        _format_numbers(node)
    if not isinstance(node, exp.RegexpFullMatch):
        return node
    pattern = exp.Literal.string(f"^(?:{node.expression.name})$")
    return exp.RegexpLike(this=node.this, expression=pattern)


def _format_numbers(node: Any) -> None:
    """Whole numbers in a text; of halves the even one, as DuckDB rounds them."""
    from sqlglot import exp
    from sqlglot.errors import UnsupportedError

    text = node.this.name.replace("%", "%%").replace("{:.0f}", "%d").replace("{:,}", "%,d")
    if "{" in text:
        raise UnsupportedError(f"format({node.this.name!r}, …)")
    numbers = [exp.cast(exp.func(EVEN, each), "BIGINT") for each in node.expressions]
    node.set("this", exp.Literal.string(text))
    node.set("expressions", numbers)


def _ordered(definitions: Definitions) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """Views and marts, and for each those it reads, in an order in which it comes after them."""
    queries = definitions.views | definitions.marts
    for name in VECTOR_TABLES:
        del queries[name]  # a table here
    graph = {name: references(query, name) & set(queries) for name, query in queries.items()}
    return queries, {name: graph[name] for name in TopologicalSorter(graph).static_order()}


def _from_catalogue(lake: Lake, name: str) -> pa.Table:
    with connect(lake) as wh:
        return wh.sql(f'SELECT * FROM "{name}"').to_arrow_table()


def _commit_rows(commits: Iterable[Commit]) -> dict[str, pa.Table]:
    """The catalogue's own tables, which are in no shard."""
    import pyarrow as pa

    return {
        name: pa.Table.from_pylist(
            [dict(zip(table_schema(name).names, row, strict=True)) for row in rows],
            schema=table_schema(name),
        )
        for name, rows in bookkeeping(commits).items()
    }


def _part_rows(commits: Iterable[Commit]) -> pa.Table:
    """Which rows of a shard are of which commit. Of one table, a file's name tells its shard."""
    import pyarrow as pa

    found = [
        (path.partition("/")[0], path.rpartition("/")[2], *rest) for path, *rest in parts(commits)
    ]
    types = {
        **{"table_name": pa.string(), "file": pa.string(), "first_row": pa.int64()},
        **{"stop_row": pa.int64(), "committed_at": pa.timestamp("us")},
        **{"run_id": pa.string(), "n": pa.int64()},
    }
    rows = [dict(zip(types, row, strict=True)) for row in found]
    return pa.Table.from_pylist(rows, schema=pa.schema(types))


def _table(spark: Any, table: str, root: str, paths: list[str]) -> Any:
    """A table's rows out of its committed shards; of rows that share a key the newest stays."""
    fields = {field.name: _type(field.type) for field in table_schema(table)}
    hive = PARTITIONS.get(table, {})
    folders = {column: folder for folder, column in hive.items()}
    if not paths:
        return spark.createDataFrame([], _ddl(fields))
    inside = {name: type_ for name, type_ in fields.items() if name not in folders}
    # The folders of the logits hold no column of the table, yet Spark adds one for each.
    stored = inside | dict.fromkeys(hive, "string")
    reader = spark.read.schema(_ddl(stored)).option("basePath", f"{root}/{table}")
    rows = reader.parquet(*(f"{root}/{path}" for path in paths))
    defaults = table_defaults(table)
    chosen = [
        f"coalesce(`{name}`, '{defaults[name]}') AS `{name}`"
        if defaults.get(name) is not None
        else f"`{folders.get(name, name)}` AS `{name}`"
        for name in fields
    ]
    if table in FACT_KEYS and table not in REPLACED_FACTS:
        return rows.selectExpr(*chosen)
    rows.selectExpr(
        *chosen, "_metadata.file_name AS __file", "_metadata.row_index AS __row"
    ).createOrReplaceTempView(f"__{table}")
    return spark.sql(
        f"SELECT {', '.join(f'`{name}`' for name in fields)} FROM ("
        f"SELECT t.*, row_number() OVER (PARTITION BY {_columns('t', table_key(table))} "
        "ORDER BY p.committed_at DESC, p.run_id DESC, p.n DESC, t.__row DESC) AS __newest "
        f"FROM `__{table}` AS t INNER JOIN __part AS p ON p.table_name = '{table}' "
        "AND p.file = t.__file AND t.__row >= p.first_row AND t.__row < p.stop_row) "
        "WHERE __newest = 1"
    )


def _without_removed(rows: Any, table: str, commits: Iterable[Commit]) -> Any:
    """The rows but those that name samples which were removed from their dataset."""
    columns = [c for c in SAMPLE_COLUMNS if {c, "dataset_id"} <= set(table_schema(table).names)]
    for one in commits:
        name = one.run["config"]["name"] if one.removes_samples else ""
        if name and table == "dataset" and _counted_before(one, name, commits):
            less = f"n_samples - if(dataset_id = {quoted(name)}, {len(one.removes_samples)}, 0)"
            rows = rows.selectExpr(
                *(f"int({less}) AS {c}" if c == "n_samples" else f"`{c}`" for c in rows.columns)
            )
        for column in columns if name else ():
            marks = ", ".join(map(quoted, sorted(one.removes_samples)))
            named = f"dataset_id = {quoted(name)} AND sha2({column}, 256) IN ({marks})"
            rows = rows.where(f"NOT ({named})")
    return rows


def _counted_before(removal: Commit, dataset_id: str, commits: Iterable[Commit]) -> bool:
    """Whether what a dataset says of its size was said before samples of it were removed."""
    counted = latest_dataset(one for commit in commits for one in commit.work).get(dataset_id)
    return counted is not None and counted.order < removal.order


def _columns(alias: str, names: Iterable[str]) -> str:
    return ", ".join(f"{alias}.`{name}`" for name in names)


def _ddl(fields: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` {type_}" for name, type_ in fields.items())


def _type(arrow: Any) -> str:
    if str(arrow).startswith("list<"):
        return f"array<{_type(arrow.value_type)}>"
    return _TYPES[str(arrow)]
