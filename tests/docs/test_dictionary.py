"""The data dictionary in docs says what the catalogue says."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from tests.docs.dictionary import DEPRECATED, PAGE, dictionary, references
from tests.warehouse.small_lakes import small_lake
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.refreshing import refresh
from warehouse.schema import table_key, tables


def test_the_page_is_what_make_docs_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary(), "run `make docs`"


def test_a_built_catalogue_has_a_comment_everywhere_and_the_page_shows_each(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    refresh(lake)
    with open_catalogue(lake) as con:
        assert _bare(con) == []
        columns = con.execute(
            "SELECT DISTINCT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE NOT internal AND schema_name <> 'stored'"
        ).fetchall()
    page = PAGE.read_text(encoding="utf-8")
    shown = {
        (section.split("\n", 1)[0], name.strip("~*"), meaning)
        for section in page.split("\n### ")[1:]
        for name, meaning in re.findall(r"^\| (\S+) \| [^|]+ \| (.+) \|$", section, re.MULTILINE)
    }
    assert {row for row in columns if row not in shown} == set()


def _bare(con: duckdb.DuckDBPyConnection) -> list[tuple[str]]:
    """What has no comment; rows kept behind views need none."""
    return con.execute(
        """
        SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE comment IS NULL AND NOT internal AND schema_name <> 'stored'
        UNION ALL
        SELECT table_name FROM duckdb_tables() WHERE comment IS NULL AND schema_name <> 'stored'
        UNION ALL
        SELECT view_name FROM duckdb_views() WHERE comment IS NULL AND NOT internal
        """
    ).fetchall()


def test_every_reference_names_columns_and_the_whole_key_of_another_table(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    refresh(lake)
    found = list(references())
    with open_catalogue(lake) as con:
        query = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        known = set(con.execute(query).fetchall())
    named = {(table, column) for table, _, columns in found for column in columns}
    assert named - known == set()
    for table, parent, columns in found:
        assert len(columns) == len(table_key(parent)), (table, parent)
    assert {("probe_logit", "probe"), ("answer", "model"), ("answer", "sample")} <= {
        (table, parent) for table, parent, _ in found
    }


def test_what_the_page_calls_deprecated_stands_in_the_changelog() -> None:
    """Columns whose comment begins with the word, and values of one that it follows."""
    text = (PAGE.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    listed = text.split("### Deprecated\n")[1].split("\n### ")[0]
    found = set()
    for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        relation = section.split("\n", 1)[0]
        for column, meaning in re.findall(r"^\| (\S+) \| [^|]+ \| (.+) \|$", section, re.MULTILINE):
            if meaning.startswith(DEPRECATED):
                found.add((relation, column.strip("~*")))
            found |= {(relation, value) for value in re.findall(r"(\w+), deprecated", meaning)}
    assert found == {
        ("mart_failure_modes", "signal_before"),
        ("mart_failure_modes", "signal_after"),
        *((name, "signal") for name in ("mart_model_pairs", "stage_interval", "pair_interval")),
        *((name, "selectivity") for name in ("signal_flow", "mart_signal_flow")),
    }
    for relation, name in found:
        assert re.search(rf"`{relation}[`.]", listed), relation
        assert re.search(rf"[`.]{name}`", listed), name


def test_every_table_of_facts_or_things_is_in_the_diagram() -> None:
    linked = {table for table, _, _ in references()} | {parent for _, parent, _ in references()}
    assert set(tables()) - linked <= {
        "run",
        "model_base",
        "package_readout",
        "removed_run",
        "removed_sample",
    }
