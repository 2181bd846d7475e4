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
