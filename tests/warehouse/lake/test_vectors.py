"""Vectors read from the shards equal those that SQL gives, whatever the shards look like."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.vectors import read_locus

WIDTH = 3
KEYS = st.tuples(st.integers(0, 2), st.sampled_from(["last", "mean"]))
SHARDS = st.lists(st.lists(KEYS, min_size=1, max_size=12), min_size=1, max_size=4)


def write(
    path: Path, keys: list[tuple[int, str]], first: int, group: int, width: int = WIDTH
) -> None:
    vectors = [[float(first + row)] * width for row in range(len(keys))]
    table = pa.table(
        {
            "layer": pa.array([layer for layer, _ in keys], pa.int32()),
            "readout": [readout for _, readout in keys],
            # Names that fall as the rows rise, so that every result must be put in order.
            "sample_id": [f"s{999 - first - row:03}" for row in range(len(keys))],
            "vector": pa.array(vectors, pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=group)


@given(shards=SHARDS, asked=KEYS, group=st.integers(1, 5))
def test_a_locus_is_what_sql_reads(
    tmp_path_factory: pytest.TempPathFactory,
    shards: list[list[tuple[int, str]]],
    asked: tuple[int, str],
    group: int,
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    paths, first = [], 0
    for index, keys in enumerate(shards):
        paths.append(folder / f"{index}.parquet")
        write(paths[-1], keys, first, group)
        first += len(keys)
    names, matrix = read_locus(Lake(folder), [path.name for path in paths], *asked, "it")
    sql = "SELECT sample_id, vector FROM read_parquet($1) WHERE layer = $2 AND readout = $3"
    expected = sorted(duckdb.execute(sql, [[str(path) for path in paths], *asked]).fetchall())
    assert names == [name for name, _ in expected]
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [vector for _, vector in expected]


def test_vectors_of_different_widths_are_refused(tmp_path: Path) -> None:
    for width in (3, 4):
        write(tmp_path / f"{width}.parquet", [(0, "last")], 10 * width, 8, width)
    with pytest.raises(LayerhouseError, match="it holds vectors of different widths"):
        read_locus(Lake(tmp_path), ["3.parquet", "4.parquet"], 0, "last", "it")


def test_ragged_vectors_whose_lengths_average_out_are_refused(tmp_path: Path) -> None:
    table = pa.table(
        {
            "layer": pa.array([0, 0], pa.int32()),
            "readout": ["last", "last"],
            "sample_id": ["a", "b"],
            "vector": pa.array([[1.0], [1.0, 2.0, 3.0]], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(LayerhouseError, match="it holds vectors of different widths"):
        read_locus(Lake(tmp_path), ["a.parquet"], 0, "last", "it")


def test_a_shard_that_is_cut_off_is_named_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [(0, "last")] * 9, 0, 4)
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:-20])
    with pytest.raises(LayerhouseError, match=r"cannot read it: .*status --verify"):
        read_locus(Lake(tmp_path), ["a.parquet"], 0, "last", "it")
