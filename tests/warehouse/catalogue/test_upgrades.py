"""A catalogue of any earlier version comes forward in place, and equals one built anew."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from _pytest.mark import ParameterSet

from tests.warehouse.old_catalogues import kept, unpack
from tests.warehouse.small_lakes import contents
from warehouse.catalogue import construction
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.refreshing import refresh
from warehouse.schema import migrations


def _versions() -> list[ParameterSet]:
    """The oldest goes through every migration; of the others the newest, unless time is no
    matter."""
    oldest, *middle = kept()
    quick = {oldest, middle[-1]}
    return [
        pytest.param(version, marks=() if version in quick else pytest.mark.slow)
        for version in kept()
    ]


@pytest.mark.parametrize("version", _versions())
def test_a_catalogue_of_an_earlier_version_comes_forward_in_place(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = unpack(version, tmp_path)
    with duckdb.connect(lake.catalogue, read_only=True) as old:
        (last,) = old.execute("SELECT max(name) FROM schema_migration").fetchone() or ("",)
        columns = ", ".join(row[0] for row in old.execute("DESCRIBE sample").fetchall())
        samples = old.execute(f"SELECT {columns} FROM sample ORDER BY ALL").fetchall()
    assert last == version
    assert samples
    with monkeypatch.context() as patched:

        def refuse(*_: object) -> None:
            raise AssertionError("the old catalogue was thrown away instead of brought forward")

        patched.setattr(construction, "_write_empty", refuse)
        assert refresh(lake)
    forward = contents(lake)
    with open_catalogue(lake) as con:
        applied = con.execute("SELECT name, hash FROM schema_migration ORDER BY name").fetchall()
        kept_rows = con.execute(f"SELECT {columns} FROM sample ORDER BY ALL").fetchall()
        assert kept_rows == samples
        left = con.execute(
            "SELECT table_name FROM duckdb_columns() WHERE table_name IN ('old_view', 'mart_old') "
            "UNION ALL SELECT function_name FROM duckdb_functions() "
            "WHERE function_name = 'old_macro'"
        ).fetchall()
    assert applied == [(migration.name, migration.hash) for migration in migrations()]
    assert left == []
    assert refresh(lake, force=True)
    assert contents(lake) == forward


def test_every_migration_has_an_archive() -> None:
    """`python -m tests.warehouse.old_catalogues` writes that of a new one."""
    first, *others = [migration.name for migration in migrations()]
    assert kept() == others, f"{first} alone never made a catalogue; each of the others did"
