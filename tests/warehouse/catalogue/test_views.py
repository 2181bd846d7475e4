"""Views and marts are built in the order of what they read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.catalogue.building import create_all, drop_all, refill_marts
from warehouse.catalogue.definitions import Definitions, dependencies, references
from warehouse.errors import LayerhouseError
from warehouse.schema import SQL_ROOT, apply, migrations


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        apply(con, migrations())
        yield con


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    """Definitions with no views and marts yet, in a folder a test may write to."""
    for folder in ("views", "marts", "macros"):
        (tmp_path / folder).mkdir()
    (tmp_path / "columns.toml").write_text("")
    return Definitions(tmp_path)


def write(definitions: Definitions, **queries: str) -> None:
    for name, query in queries.items():
        folder = "marts" if name.startswith("mart_") else "views"
        (definitions.root / folder / f"{name}.sql").write_text(query)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("SELECT 1", set()),
        ("WITH a AS (SELECT * FROM x) SELECT * FROM a INNER JOIN y USING (i)", {"x", "y"}),
        ("SELECT * FROM (SELECT * FROM x) WHERE i IN (SELECT i FROM y)", {"x", "y"}),
        ("WITH unused AS (SELECT * FROM x) SELECT 1", {"x"}),
        ("SELECT * FROM x UNION ALL SELECT * FROM y", {"x", "y"}),
        ("FROM x", {"x"}),
    ],
)
def test_a_query_reads_the_tables_in_its_syntax(query: str, read: set[str]) -> None:
    assert references(query, "q") == read


@pytest.mark.parametrize("query", ["SELECT FROM WHERE", "DROP TABLE model", ""])
def test_a_file_that_is_no_select_is_named(query: str) -> None:
    with pytest.raises(LayerhouseError, match=r"broken\.sql is not one SELECT"):
        references(query, "broken")


def test_every_view_comes_after_those_it_reads(con: duckdb.DuckDBPyConnection) -> None:
    queries = {
        "a": "SELECT * FROM c",
        "b": "SELECT * FROM model",
        "c": "SELECT * FROM b",
    }
    assert list(dependencies(con, queries)) == ["b", "c", "a"]


def test_an_unknown_dependency_is_named_with_the_nearest(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(LayerhouseError, match=r"a\.sql reads sampel, .*did you mean sample"):
        dependencies(con, {"a": "SELECT * FROM sampel"})


def test_a_circle_is_shown(con: duckdb.DuckDBPyConnection) -> None:
    queries = {"a": "SELECT * FROM b", "b": "SELECT * FROM c", "c": "SELECT * FROM a"}
    with pytest.raises(LayerhouseError, match="read each other in a circle: a → "):
        dependencies(con, queries)


def test_a_view_that_does_not_bind_is_named(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    write(definitions, a="SELECT nonsense FROM model")
    with pytest.raises(LayerhouseError, match=r"a\.sql does not build: .*nonsense"):
        create_all(con, definitions)


def test_marts_are_tables_and_views_stay_views(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    """Also where marts share a view, which is computed once for them."""
    write(
        definitions,
        numbers="SELECT unnest([1, 2]) AS i",
        mart_one="SELECT i FROM numbers",
        mart_two="SELECT sum(i) AS i FROM numbers",
    )
    create_all(con, definitions)
    assert con.execute("FROM mart_one ORDER BY i").fetchall() == [(1,), (2,)]
    assert con.execute("FROM mart_two").fetchall() == [(3,)]
    kinds = con.execute(
        "SELECT table_name, table_type, table_catalog FROM information_schema.tables "
        "WHERE table_name IN ('numbers', 'mart_one', 'mart_two') AND table_schema = 'main' "
        "ORDER BY ALL"
    ).fetchall()
    assert kinds == [
        ("mart_one", "BASE TABLE", "memory"),
        ("mart_two", "BASE TABLE", "memory"),
        ("numbers", "VIEW", "memory"),
    ]


def test_stored_views_answer_the_same_and_follow_their_tables(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    write(
        definitions,
        numbers="SELECT name FROM model",
        lengths="SELECT len(vector) AS width FROM activation",
        mart_names="SELECT name FROM numbers",
    )
    create_all(con, definitions)
    kept = con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'stored'")
    assert kept.fetchall() == [("numbers",)]  # what reads vectors is never copied
    con.execute(
        "INSERT INTO model (model_id, name, variant, run_id) VALUES ('m', 'new', 'base', 'r')"
    )
    for name in ("numbers", "mart_names"):
        assert con.execute(f"FROM {name}").fetchall() == []
    refill_marts(con, definitions)
    for name in ("numbers", "mart_names"):
        assert con.execute(f"FROM {name}").fetchall() == [("new",)]
    drop_all(con)
    assert con.execute("FROM duckdb_tables() WHERE schema_name = 'stored'").fetchall() == []


def test_only_what_reads_a_changed_table_is_computed_again(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    write(
        definitions,
        models="SELECT count(*) AS n FROM model",
        classes="SELECT count(*) AS n FROM class",
        twice="SELECT 2 * n AS n FROM models",
        mart_models="SELECT n FROM twice",
        mart_classes="SELECT n FROM classes",
    )
    create_all(con, definitions)
    con.execute(
        "INSERT INTO model (model_id, name, variant, run_id) VALUES ('m', 'new', 'base', 'r')"
    )
    con.execute("INSERT INTO class VALUES ('d', 0, 'cat', 'a cat', 'r')")
    refill_marts(con, definitions, frozenset({"model"}))
    assert con.execute("FROM mart_models").fetchall() == [(2,)]
    assert con.execute("FROM mart_classes").fetchall() == [(0,)]
    refill_marts(con, definitions)
    assert con.execute("FROM mart_classes").fetchall() == [(1,)]


def test_what_is_empty_and_stays_empty_passes_no_change_on(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    write(
        definitions,
        wanted="SELECT name FROM model WHERE name = 'wanted'",
        mart_wanted="SELECT count(*) AS n FROM wanted",
    )
    create_all(con, definitions)
    con.execute("UPDATE mart_wanted SET n = 7")
    counted = []
    for change in (
        "INSERT INTO model (model_id, name, variant, run_id) VALUES ('m', 'other', 'base', 'r')",
        "INSERT INTO model (model_id, name, variant, run_id) VALUES ('n', 'wanted', 'base', 'r')",
        "DELETE FROM model",
    ):
        con.execute(change)
        refill_marts(con, definitions, frozenset({"model"}))
        counted += con.execute("FROM mart_wanted").fetchall()
    assert counted == [(7,), (1,), (0,)]


def test_comments_reach_tables_columns_and_macros(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    write(definitions, one="SELECT 1 AS i, 2 AS j")
    (definitions.root / "macros" / "twice.sql").write_text("CREATE MACRO twice(x) AS 2 * x")
    (definitions.root / "columns.toml").write_text("i = \"it's i\"\nj = 'shared'\n")
    (definitions.root / "views" / "one.toml").write_text("comment = 'One'\nj = 'own'\n")
    (definitions.root / "macros" / "twice.toml").write_text("comment = 'two of them'\n")
    create_all(con, definitions)
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE table_name = 'one' AND schema_name = 'main' ORDER BY ALL"
    ).fetchall()
    assert columns == [("i", "it's i"), ("j", "own")]
    assert con.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'one'").fetchall() == [
        ("One",)
    ]
    assert con.execute(
        "SELECT comment FROM duckdb_functions() WHERE function_name = 'twice'"
    ).fetchall() == [("two of them",)]


def test_dropping_leaves_only_what_the_migrations_made(con: duckdb.DuckDBPyConnection) -> None:
    before = con.execute("SHOW TABLES").fetchall()
    create_all(con, Definitions())
    drop_all(con)
    assert con.execute("SHOW TABLES").fetchall() == before
    assert con.execute("SELECT * FROM duckdb_functions() WHERE NOT internal").fetchall() == []


def test_a_view_is_found_in_whatever_folder_it_lies(
    con: duckdb.DuckDBPyConnection, definitions: Definitions
) -> None:
    for folder in ("scores", "curves/deep"):
        (definitions.root / "views" / folder).mkdir(parents=True)
    (definitions.root / "views" / "scores" / "one.sql").write_text("SELECT 1 AS i")
    (definitions.root / "views" / "curves" / "deep" / "two.sql").write_text("FROM one")
    create_all(con, definitions)
    assert con.execute("FROM two").fetchall() == [(1,)]
    (definitions.root / "views" / "two.sql").write_text("SELECT 2 AS i")
    with pytest.raises(LayerhouseError, match=r"two files below sql/views are named two\.sql"):
        _ = Definitions(definitions.root).views


@pytest.mark.parametrize(
    "edited",
    [
        "views/scores/confusion.sql",
        "views/scores/confusion.toml",
        "marts/mart_signal_flow.sql",
        "macros/cosine.sql",
        "macros/cosine.toml",
        "schema/0001_core.toml",
        "columns.toml",
    ],
)
def test_any_edit_changes_the_hash(tmp_path: Path, edited: str) -> None:
    shutil.copytree(SQL_ROOT, tmp_path / "sql")
    assert Definitions(tmp_path / "sql").hash == Definitions().hash
    path = tmp_path / "sql" / edited
    path.write_text(path.read_text() + "\n# or -- edited")
    assert Definitions(tmp_path / "sql").hash != Definitions().hash
