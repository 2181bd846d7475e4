"""What of a mart says who a patient is: left out of publications unless somebody asks for it."""

from __future__ import annotations

import duckdb

WITHHELD = {
    "group_id": "cast(NULL AS VARCHAR)",
    "uri": "cast(NULL AS VARCHAR)",
    "sample_id": "CASE WHEN contains(uri, split_part(sample_id, '#frame', 1)) THEN "
    "'sample-' || left(sha256(concat_ws('/', dataset_id, sample_id)), 12) ELSE sample_id END",
}
"""Groups are patients, and paths often name them, also those that are sample ids. Such a sample
gets an id that is the same in every publication; whoever has the lake finds it by this expression.
"""


def source_of(con: duckdb.DuckDBPyConnection, mart: str, *, patients: bool) -> str:
    """What is published of a mart of the catalogue attached as `lake`, for a FROM clause."""
    columns = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = ?",
        [mart],
    ).fetchall()
    held = [name for (name,) in columns if name in WITHHELD and not patients]
    assert "sample_id" not in held or "uri" in held, f"{mart} has samples, but not their uri"
    if not held:
        return f'lake."{mart}"'
    replaced = ", ".join(f"{WITHHELD[name]} AS {name}" for name in held)
    return f'(SELECT * REPLACE ({replaced}) FROM lake."{mart}")'
