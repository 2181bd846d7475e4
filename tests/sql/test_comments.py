"""Every table, view, column and macro is described, and nothing else is."""

import duckdb
import pytest

from warehouse.catalogue.building import create_all
from warehouse.catalogue.comments import parse_comments
from warehouse.catalogue.definitions import SHIPPED, Definitions
from warehouse.schema import apply, migrations
from warehouse.vocabulary import VECTOR_TABLES


@pytest.fixture(scope="module")
def comments():
    return parse_comments(Definitions().comments)


@pytest.fixture(scope="module")
def con():
    """A catalogue with everything in it that a lake's has."""
    with duckdb.connect() as opened:
        apply(opened, migrations())
        create_all(opened, SHIPPED)
        yield opened


@pytest.fixture(scope="module")
def columns(con):
    """{relation: its columns}."""
    rows = con.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY ALL"
    )
    return dict(rows.fetchall())


def test_everything_in_the_catalogue_has_a_comment(con):
    bare = con.execute(
        """
        SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE comment IS NULL AND NOT internal AND schema_name <> 'stored'
        UNION ALL
        SELECT table_name FROM duckdb_tables() WHERE comment IS NULL AND schema_name <> 'stored'
        UNION ALL
        SELECT view_name FROM duckdb_views() WHERE comment IS NULL AND NOT internal
        UNION ALL
        SELECT function_name FROM duckdb_functions() WHERE comment IS NULL AND NOT internal
        ORDER BY ALL
        """
    ).fetchall()
    assert bare == []


def test_no_comment_describes_what_does_not_exist(comments, columns):
    described = set(comments.relations) | set(comments.columns)
    assert described <= set(columns)
    stale = {
        f"{name}.{column}"
        for name, texts in comments.columns.items()
        for column in set(texts) - set(columns[name])
    }
    assert stale == set()


def test_every_shared_comment_is_used(comments, columns):
    used = {
        column
        for name, names in columns.items()
        for column in set(names) - set(comments.columns.get(name, {}))
    }
    assert set(comments.shared) <= used


def test_no_relation_repeats_a_shared_comment(comments):
    repeated = [
        f"{name}.{column}"
        for name, texts in comments.columns.items()
        for column, text in texts.items()
        if comments.shared.get(column) == text
    ]
    assert repeated == []


def test_comments_lie_beside_what_they_describe():
    definitions = Definitions()
    beside = {
        path.relative_to(definitions.root).with_suffix(".toml").as_posix()
        for folder in ("schema", "views", "marts", "macros")
        for path in (definitions.root / folder).rglob("*.sql")
        if path.stem not in VECTOR_TABLES  # of the migrations, whose views take their place
    }
    assert set(definitions.comments) == beside | {"columns.toml"}


def test_every_described_macro_exists(comments):
    assert set(comments.macros) == set(Definitions().macros)
