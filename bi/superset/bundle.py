"""The dashboard as a bundle that Superset imports, for a published file at its own place.

Charts and dashboard lie in `dashboard/` in Superset's export format. The data sets are written from
the published file itself, so that their columns, types and descriptions are those of the marts.

    python bi/superset/bundle.py published/marts.duckdb layerhouse-dashboard.zip

In Superset: Dashboards → Import dashboard. Needs duckdb and PyYAML.
"""

from __future__ import annotations

import argparse
import io
import re
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

DASHBOARD = Path(__file__).parent / "dashboard"
NAMESPACE = uuid.UUID("8c5f0f5e-6b0e-5c3a-9d5c-6c6179657268")


def dataset_uuid(table: str) -> str:
    """The id that charts know a data set by; the same on every machine."""
    return str(uuid.uuid5(NAMESPACE, f"dataset/{table}"))


def uri(marts: Path) -> str:
    """How Superset opens the file: read-only, so that it stands in nobody's way."""
    return f"duckdb:///{marts.resolve()}?access_mode=read_only"


def bundle(marts: Path) -> bytes:
    """The zip that Superset's import takes. Raises duckdb.Error where `marts` is no DuckDB file."""
    now = datetime.now(UTC).isoformat()
    contents = {"metadata.yaml": {"version": "1.0.0", "type": "Dashboard", "timestamp": now}}
    for path in sorted(DASHBOARD.rglob("*.yaml")):
        contents[str(path.relative_to(DASHBOARD))] = yaml.safe_load(path.read_text("utf-8"))
    database = contents["databases/Layerhouse.yaml"]
    database["sqlalchemy_uri"] = uri(marts)
    for dataset in datasets(marts, database["uuid"]):
        contents[f"datasets/Layerhouse/{dataset['table_name']}.yaml"] = dataset
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(f"layerhouse/{name}", yaml.safe_dump(content, sort_keys=False))
    return buffer.getvalue()


def datasets(marts: Path, database_uuid: str) -> list[dict[str, Any]]:
    """One data set for every table of the published file."""
    with duckdb.connect(str(marts), read_only=True) as con:
        tables = con.execute(
            "SELECT table_name, comment FROM duckdb_tables() ORDER BY table_name"
        ).fetchall()
        columns = con.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    return [
        {
            "table_name": table,
            "description": comment,
            "main_dttm_col": "built_at" if table == "build" else "built_on",
            "schema": "main",
            "filter_select_enabled": True,
            "uuid": dataset_uuid(table),
            "database_uuid": database_uuid,
            "version": "1.0.0",
            "columns": [_column(*row) for of, *row in columns if of == table],
            "metrics": [
                {"metric_name": "count", "expression": "COUNT(*)", "verbose_name": "Rows"},
            ],
        }
        for table, comment in tables
    ]


def _column(name: str, kind: str, comment: str | None) -> dict[str, Any]:
    return {
        "column_name": name,
        "verbose_name": name.replace("_", " "),
        "type": kind,
        "description": comment,
        "is_dttm": re.match("DATE|TIMESTAMP", kind) is not None,
        "groupby": True,
        "filterable": True,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the dashboard as a bundle for Superset.")
    parser.add_argument("marts", type=Path, help="the published .duckdb file")
    parser.add_argument("out", type=Path, help="the .zip to write")
    options = parser.parse_args()
    options.out.write_bytes(bundle(options.marts))


if __name__ == "__main__":
    main()
