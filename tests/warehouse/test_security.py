"""Hostile SQL, each statement sent the way a person at `layerhouse sql` would send it.

Whatever is asked, the lake stays as it was, no file appears elsewhere, nothing outside the lake is
read, and the answer is a sentence that says what is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from layerhouse.cli import main
from tests.warehouse.small_lakes import MODEL, activation_rows, files, small_lake
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

WRITES = [
    "DELETE FROM sample",
    "INSERT INTO sample SELECT * FROM sample",
    "INSERT OR REPLACE INTO model SELECT * FROM model",
    "UPDATE run SET status = 'finished'",
    "TRUNCATE sample",
    "MERGE INTO sample USING sample AS s ON FALSE WHEN MATCHED THEN DELETE",
    "WITH x AS (INSERT INTO sample SELECT * FROM sample RETURNING *) FROM x",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW activation AS SELECT 1",
    "CREATE TEMP MACRO cosine(a, b) AS 1",
    "CREATE SEQUENCE s",
    "CREATE TYPE mood AS ENUM ('good')",
    "CREATE SCHEMA other",
    "CREATE INDEX i ON sample (sample_id)",
    "DROP VIEW activation",
    "ALTER TABLE sample ADD COLUMN x INTEGER",
    "COMMENT ON TABLE sample IS 'mine'",
    "VACUUM ANALYZE sample",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "FROM force_checkpoint()",
    "BEGIN",
    "COPY sample FROM '/etc/passwd'",
]

FILES_WRITTEN = [
    "COPY sample TO '{out}/x.csv'",
    "COPY (SELECT 1) TO '{out}/x.parquet' (FORMAT parquet)",
    "COPY (SELECT 1) TO '{lake}/activation/x.parquet'",
    "EXPORT DATABASE '{out}/x'",
    "COPY FROM DATABASE catalog TO memory",
    "FROM query('COPY sample TO ''{out}/x.csv''')",
    "EXPLAIN ANALYZE COPY sample TO '{out}/x.csv'",
    "EXPLAIN /* /* */ SELECT 1; -- */ ANALYZE COPY sample TO '{out}/x.csv'",
    "FROM enable_profiling(save_location := '{out}/x.json', format := 'json')",
    "FROM enable_logging('info', storage := 'file', storage_path := '{out}/x')",
    "CALL enable_logging()",
    "ATTACH '{out}/x.duckdb' AS x",
    "CREATE PERSISTENT SECRET x (TYPE s3)",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM 'http://example.org'",
    "UPDATE EXTENSIONS",
]

FILES_READ = [
    "FROM '/etc/passwd.csv'",
    "FROM read_csv('/etc/passwd')",
    "FROM read_csv_auto('{secret}')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM read_text('{secret}')",
    "FROM read_blob(['{secret}'])",
    "FROM read_json('{secret}')",
    "FROM read_ndjson_objects('{secret}')",
    "FROM read_parquet('{secret}')",
    "FROM parquet_metadata('{secret}')",
    "FROM parquet_schema(['{secret}'])",
    "FROM read_duckdb('{secret}', table_name := 't')",
    "FROM glob('/etc/*')",
    "FROM glob('{lake}/*')",
    "FROM read_text('{lake}/commits/*.json')",
    "FROM read_text('{lake}/activation/../catalog.lock')",
    "FROM read_text('{lake}/activation/../../secret.txt')",
    "FROM read_text('{lake}/activation/link')",
    "FROM read_text('{lake}/activation/folder/secret.txt')",
    "FROM read_text('file://{secret}')",
    "FROM read_text('http://localhost/x')",
    "FROM 's3://bucket/x.parquet'",
    "FROM 'hf://datasets/a/b.csv'",
    "FROM query('FROM read_text(''{secret}'')')",
    "FROM query_table('{secret}')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))",
    "WITH x AS MATERIALIZED (FROM read_text('{secret}')) FROM x",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SUMMARIZE FROM read_csv('{secret}')",
    "DESCRIBE FROM read_csv('{secret}')",
    "EXPLAIN ANALYZE FROM read_text('{secret}')",
    "ATTACH '{secret}' (READ_ONLY)",
    "SELECT getenv('HOME')",
    "FROM duckdb_secrets()",
]

DOORS = [
    "SET enable_external_access = TRUE",
    "SET GLOBAL allowed_directories = ['/']",
    "RESET lock_configuration",
    "SET VARIABLE activation_shards = ['{secret}']",
    "PRAGMA enable_external_access",
    "LOAD '{out}/x.duckdb_extension'",
    "LOAD httpfs",
    "USE memory",
    "PREPARE p AS DELETE FROM sample",
    "EXECUTE p",
    "CALL pragma_version()",
    "IMPORT DATABASE '{out}'",
    "SELECT 1; DROP TABLE sample",
    "SELECT 1 /* ; */ ; DROP TABLE sample",
    "SELECT ';' -- '\n; SET threads = 1",
    "SELECT 1;;SELECT 2",
    "FROM query('SELECT 1; DROP TABLE sample')",
    "/* SELECT */ DROP TABLE sample -- SELECT",
    "EXPLAIN DELETE FROM sample",
    "FROM arrow_scan(1, 2, 3)",
    "FROM pandas_scan(1)",
    "FROM destroy_external_resource('query', 'DROP TABLE sample')",
]

HOSTILE = [*WRITES, *FILES_WRITTEN, *FILES_READ, *DOORS]

# Words a refusal is told by; a parse error of DuckDB's would prove nothing.
REASONS = (
    "is refused",
    "only one statement",
    "EXPLAIN is answered for SELECT only",
    "read-only mode",
    "Permission Error",
    "has been locked",
    "does not exist",
    "Expected a single SELECT",
    "FORCE CHECKPOINT",
    "No function matches",
    "Malformed JSON",
    "failed:",
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a secret beside it and, as a copied lake might have, links that lead there."""
    root = tmp_path_factory.mktemp("security")
    (root / "secret.txt").write_text("the secret\n")
    (root / "out").mkdir()
    lake = small_lake(root / "lake")
    with connect(lake):
        pass
    (lake.root / "activation" / "link").symlink_to(root / "secret.txt")
    (lake.root / "activation" / "folder").symlink_to(root)
    return lake


def _filled(statement: str, lake: Lake) -> str:
    beside = lake.root.parent
    return (
        statement.replace("{lake}", str(lake.root))
        .replace("{secret}", str(beside / "secret.txt"))
        .replace("{out}", str(beside / "out"))
    )


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_hostile_statement_is_refused(
    lake: Lake, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(lake)
    with pytest.raises(SystemExit) as ended:
        main(["sql", _filled(statement, lake), "--lake", str(lake.root), "--format", "json"])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.err.startswith("Error: ")
    assert any(reason in said.err for reason in REASONS), said.err
    assert "Traceback" not in said.err
    assert "unexpected failure" not in said.err
    assert "the secret" not in said.out + said.err
    assert files(lake) == before
    assert list((lake.root.parent / "out").iterdir()) == []


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) > 90


@pytest.fixture
def wh(lake: Lake) -> Iterator[Warehouse]:
    with connect(lake) as wh:
        yield wh


def test_after_all_that_the_lake_answers_as_before(wh: Warehouse, lake: Lake) -> None:
    for statement in HOSTILE:
        with pytest.raises((LayerhouseError, duckdb.Error)):
            wh.sql(_filled(statement, lake)).fetchall()
    assert wh.sql("SELECT count(*) FROM sample").fetchall() == [(4,)]
    assert wh.sql("SELECT vector FROM activation LIMIT 1").fetchall()


def test_a_second_connection_in_the_process_opens_no_door(lake: Lake, wh: Warehouse) -> None:
    with (
        connect(lake) as second,
        pytest.raises((LayerhouseError, duckdb.Error), match="Permission Error"),
    ):
        second.sql(_filled("FROM read_text('{secret}')", lake)).fetchall()
    with pytest.raises((LayerhouseError, duckdb.Error), match="Permission Error"):
        wh.sql(_filled("FROM read_text('{secret}')", lake)).fetchall()


def test_variables_of_the_calling_program_are_out_of_reach(wh: Warehouse) -> None:
    import pandas

    password = pandas.DataFrame({"secret": [1]})
    for name in ("password", "self", "query", "params"):
        with pytest.raises(LayerhouseError, match="does not exist"):
            wh.sql(f"FROM {name}").fetchall()
    assert len(password) == 1


HOSTILE_NAMES = ["'; DROP TABLE sample; --", 'x" OR TRUE --', "%' OR 1=1 --", "../../etc", "a\0b"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_reach_sql_as_values_only(wh: Warehouse, name: str) -> None:
    with pytest.raises(LayerhouseError):
        wh.activations(name, name, name, 0, name)
    rows = wh.sql("SELECT $1 AS name", [name]).fetchall()
    assert rows == [(name,)]


# Any name a file system can hold once it is percent-encoded; a control character is no name.
NAMES = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=20)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(NAMES, min_size=10, max_size=20, unique=True))
def test_whatever_a_model_or_a_sample_is_called_its_rows_come_back(names: list[str]) -> None:
    """Through folder names, the catalogue, the macros and the API: a name is never part of SQL."""
    names = [*dict.fromkeys([*names, *HOSTILE_NAMES[:4]])]
    with TemporaryDirectory() as folder:
        lake = small_lake(Path(folder) / "lake")
        for name in names:
            rows = activation_rows(["s0", "s1"], model_id=name)
            with RunWriter(lake, RunSpec("extract", name, "digits", {})) as writer:
                writer.commit({"activation": rows})
        with connect(lake) as wh:
            for name in names:
                X, samples = wh.activations(name, "digits", "vision", 1, "mean")
                assert X.tolist() == [[1.0, 0.0], [1.0, 1.0]]
                assert samples["sample_id"].to_list() == ["s0", "s1"]
            found = wh.sql("SELECT DISTINCT model_id FROM activation").fetchall()
        assert {model for (model,) in found} >= set(names)
        assert len(found) == len(set(names) | {MODEL})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_path_with_quotes_can_be_opened(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / 'it\'s a "lake"; --')
    with connect(lake) as wh:
        assert wh.sql("SELECT vector FROM activation LIMIT 1").fetchall()
