"""Vectors are read from the shards a reader names, with their place from the folders."""

from pathlib import Path

import duckdb
import pytest

from warehouse.catalogue.definitions import Definitions


def shard(lake: Path, layer: int, sample: str, vector: list[float]) -> str:
    folder = lake / "model=007" / "dataset=d" / "module=llm" / f"layer={layer}" / "readout=last"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sample}.parquet"
    duckdb.sql(
        f"COPY (SELECT '{sample}' AS sample_id, {vector}::FLOAT[] AS vector, 'r' AS run_id) "
        f"TO '{path}' (FORMAT parquet)"
    )
    return str(path)


@pytest.mark.exact_rows("token_activation")
def test_exact_rows_of_tokens(catalogue, tmp_path):
    """Those of a sample that was removed are gone before its shard is written anew."""
    folder = tmp_path / "model=m" / "dataset=d" / "module=vision"
    folder.mkdir(parents=True)
    path = folder / "part.parquet"
    duckdb.sql(
        'COPY (SELECT 2 AS layer, sample_id, token, 0 AS row, token AS "column", '
        "[token]::FLOAT[] AS vector, 'r' AS run_id FROM (VALUES ('a'), ('b')) AS s (sample_id), "
        f"range(2) AS t (token)) TO '{path}' (FORMAT parquet)"
    )
    con = catalogue({})
    con.execute(f"SET VARIABLE token_activation_shards = ['{path}']")
    con.execute("SET VARIABLE removed_samples = ['d/' || sha256('a')]")
    con.execute(
        f"CREATE OR REPLACE VIEW token_activation AS {Definitions().views['token_activation']}"
    )
    assert con.sql("FROM token_activation ORDER BY token").fetchall() == [
        ("m", "d", "vision", 2, "b", 0, 0, 0, [0.0], "r"),
        ("m", "d", "vision", 2, "b", 1, 0, 1, [1.0], "r"),
    ]


@pytest.mark.exact_rows("activation")
def test_exact_rows(catalogue, tmp_path):
    """The name of a model may look like a number; a shard that nobody committed is not read."""
    committed = [shard(tmp_path, 0, "a", [0.5, 1.0]), shard(tmp_path, 1, "a", [2.0, -1.0])]
    shard(tmp_path, 1, "b", [9.0, 9.0])
    con = catalogue({})
    con.execute(f"SET VARIABLE activation_shards = {committed}")
    con.execute(f"CREATE OR REPLACE VIEW activation AS {Definitions().views['activation']}")
    rows = con.sql("SELECT * EXCLUDE (layer), layer::INT FROM activation ORDER BY layer")
    assert rows.fetchall() == [
        ("007", "d", "llm", "last", "a", [0.5, 1.0], "r", 0),
        ("007", "d", "llm", "last", "a", [2.0, -1.0], "r", 1),
    ]
