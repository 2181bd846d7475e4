"""A question about one locus touches the row groups of that locus and nothing else.

The proof is destruction: every other row group is overwritten with noise, and the answer stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    activation_rows,
    add_extraction,
    extract_spec,
    small_lake,
)
from warehouse.catalogue.reading import Warehouse, attach
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.lake.shards import hive_folder

LOCUS = f"'{MODEL}', '{DATASET}', 'vision', 1, 'mean'"
OTHERS = [
    f"'{MODEL}', '{DATASET}', 'vision', 1, 'grid'",
    f"'{MODEL}', '{DATASET}', 'vision', 0, 'mean'",
    f"'{MODEL}', '{DATASET}', 'llm', 0, 'mean'",
    f"'other', '{DATASET}', 'vision', 1, 'mean'",
]
QUESTIONS = [
    f"SELECT * FROM activations({LOCUS}) ORDER BY sample_id",
    f"SELECT * FROM centroids({LOCUS}) ORDER BY class_index",
    f"SELECT * FROM nearest({LOCUS}, 's0', k := 3)",
    f"SELECT avg(l2_norm(vector)) FROM activations({LOCUS})",
]


def _spoil(path: Path) -> None:
    """Overwrite every row group but those of the locus; footers stay as they are."""
    folder = hive_folder("activation", {"model": MODEL, "dataset": DATASET, "module": "vision"})
    kept = path.parent.as_posix().endswith(folder)
    footer = pq.ParquetFile(path).metadata
    about = path.stat()
    with path.open("r+b") as file:
        for number in range(footer.num_row_groups):
            columns = [footer.row_group(number).column(i) for i in range(footer.num_columns)]
            held = {c.path_in_schema: c.statistics and c.statistics.min for c in columns}
            if kept and (held["layer"], held["readout"]) == (1, "mean"):
                continue
            for column in columns:
                start = column.dictionary_page_offset or column.data_page_offset
                file.seek(start)
                file.write(b"\xff" * column.total_compressed_size)
    if kept:  # of another date it would be verified anew; other shards are not verified at all
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.fixture(scope="module")
def answers_and_wh(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[object], Warehouse]]:
    lake = small_lake(tmp_path_factory.mktemp("pruning") / "lake")
    add_extraction(lake, "other")
    with connect(lake) as wh:
        before: list[object] = [wh.sql(query).fetchall() for query in QUESTIONS]
    for shard in (lake.root / "activation").rglob("*.parquet"):
        _spoil(shard)
    with connect(lake) as wh:
        yield before, wh


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_a_macro_reads_the_row_groups_of_its_locus_only(
    answers_and_wh: tuple[list[object], Warehouse], number: int
) -> None:
    before, wh = answers_and_wh
    assert before[number]
    assert wh.sql(QUESTIONS[number]).fetchall() == before[number]


@pytest.mark.parametrize("locus", OTHERS)
def test_what_was_spoilt_cannot_be_read(
    answers_and_wh: tuple[list[object], Warehouse], locus: str
) -> None:
    with pytest.raises((duckdb.Error, LayerhouseError)):
        answers_and_wh[1].sql(f"FROM activations({locus})").fetchall()


def test_the_bytes_read_are_those_of_the_locus_and_the_footers(tmp_path: Path) -> None:
    """Of eight layers in one shard one is read, not those beside it as well."""
    lake = Lake.at(tmp_path / "lake")
    rng = np.random.default_rng(0)
    rows = [
        row | {"vector": rng.standard_normal(512, np.float32)}
        for row in activation_rows(
            [f"s{i}" for i in range(16)], loci=tuple(("llm", i) for i in range(8))
        )
    ]
    with RunWriter(lake, extract_spec()) as writer:
        writer.commit({"activation": rows})
    refresh(lake)
    query = "SELECT vector FROM activation WHERE readout = 'mean' AND layer = "
    footer_alone, one_locus = (_bytes_read(lake, f"{query}{layer}") for layer in (99, 4))
    (shard,) = (lake.root / "activation").rglob("*.parquet")
    held = pq.ParquetFile(shard).metadata.row_group(0)
    vectors = held.column(held.num_columns - 2)
    assert vectors.path_in_schema.startswith("vector")
    group = sum(held.column(i).total_compressed_size for i in range(held.num_columns))
    assert footer_alone > 0
    assert vectors.total_compressed_size < one_locus - footer_alone <= 1.1 * group


def _bytes_read(lake: Lake, query: str) -> int:
    with attach(lake) as con:
        con.execute("SET enable_profiling = 'no_output'")
        con.execute(query).fetchall()
        return int(
            json.loads(con.get_profiling_information(format="json"))["io"]["total_bytes_read"]
        )
