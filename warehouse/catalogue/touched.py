"""Which shards of vectors a query may read, so that these are verified before it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from warehouse.lake import Lake
from warehouse.storage import Shard

READERS = {
    "activation": re.compile(r"\b(activations?|centroids|nearest)\b", re.IGNORECASE),
    "token_activation": re.compile(r"\btoken_activation\b", re.IGNORECASE),
}
"""Each view of vectors, and the macros that read it."""
SIDE_BY_SIDE = re.compile(r"('(?:[^']|'')*')|\)\(")
"""A text in quotes, or where one condition ends and the next begins."""

SHARDS = """
SELECT table_name, path, n_rows, n_bytes, checksum FROM (
    SELECT
        *,
        url_decode(regexp_extract(path, '/model=([^/]*)/', 1)) AS model,
        url_decode(regexp_extract(path, '/dataset=([^/]*)/', 1)) AS dataset,
        url_decode(regexp_extract(path, '/module=([^/]*)/', 1)) AS module
    FROM shard
    WHERE list_contains($1, table_name)
)
"""


def refuse_unsound_for(lake: Lake, con: duckdb.DuckDBPyConnection, query: str, params: Any) -> None:
    """Raise LayerhouseError where a shard is damaged that a query, which binds, may read."""
    tables = [table for table, names in READERS.items() if names.search(query)]
    if not tables:
        return
    from warehouse.lake import refuse_unsound

    filters = _filters(con, query, params)
    if filters:
        refuse_unsound(lake, [Shard(*row) for row in _shards(con, tables, filters)])


def _shards(
    con: duckdb.DuckDBPyConnection, tables: list[str], filters: list[str]
) -> list[tuple[Any, ...]]:
    try:
        return con.execute(f"{SHARDS} WHERE {' OR '.join(filters)}", [tables]).fetchall()
    except duckdb.Error:  # DuckDB's own words are no SQL in every case
        return con.execute(SHARDS, [tables]).fetchall()


def _filters(con: duckdb.DuckDBPyConnection, query: str, params: Any) -> list[str]:
    """How the plan of a query chooses among shards, for each time it reads them."""
    try:
        found = con.execute(f"EXPLAIN (FORMAT json) {query}", params).fetchall()
        nodes = list(_nodes(json.loads(found[0][1])))
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        return []  # nobody can run it, or it is no SELECT, as DESCRIBE
    except (duckdb.Error, ValueError, LookupError):  # a footer that DuckDB cannot plan by
        return ["true"]
    about = [node.get("extra_info", {}) for node in nodes if "PARQUET" in node.get("name", "")]
    filters = [each.get("File Filters", "true") for each in about]
    return [f"({_as_sql(each)})" if isinstance(each, str) else "true" for each in filters]


def _as_sql(conditions: str) -> str:
    """Conditions that must hold together, which DuckDB writes side by side, as one."""
    return SIDE_BY_SIDE.sub(lambda found: found[1] or ") AND (", conditions)


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    for node in plan if isinstance(plan, list) else [plan]:
        yield node
        yield from _nodes(node.get("children", []))
