"""Questions to a warehouse of the paper's size, in DuckDB's catalogue and in SQLite.

    python -m bench.bench_sql              # a small one: under a minute
    python -m bench.bench_sql --full       # 14 models × 3 datasets × 60 loci × 5,000 samples
    python -m bench.bench_sql --lake LAKE  # one that bench.paper_scale wrote

Each question is asked on an open connection, five times; the median counts. SQLite gets the same
small tables, with an index on every key, and the same marts and `signal_flow` as tables; the one
question over logits is asked of both as it stands. Then: the bytes a scan of one locus reads, how
the time to rebuild a catalogue grows with its shards, and how long validation takes.
"""

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.paper_scale import (
    Samples,
    Scale,
    build,
    described,
    likelihoods,
    write_dataset,
    write_vectors,
)
from warehouse.catalogue import Warehouse, connect, refresh
from warehouse.catalogue.reading import attach
from warehouse.lake import Lake, RunSpec, RunWriter

SMALL = Scale(models=3, datasets=2, samples=1000)
FULL = Scale()
REPEATS = 5

QUESTIONS = {
    "mart_leaderboard": "SELECT * FROM mart_leaderboard ORDER BY dataset_id, leaderboard_rank",
    "mart_signal_flow, one model": "SELECT * FROM mart_signal_flow WHERE model_id = 'model-01'",
    "mart_signal_flow, mean by depth": "SELECT depth, readout, avg(test_accuracy) FROM"
    " mart_signal_flow GROUP BY depth, readout ORDER BY depth, readout",
    "mart_model_health": "SELECT * FROM mart_model_health",
    "mart_failure_modes": "SELECT * FROM mart_failure_modes",
    "mart_sample_outcomes, by class": "SELECT model_id, dataset_id, class_index, avg(CASE WHEN"
    " answer_knows THEN 1.0 ELSE 0.0 END)"
    " FROM mart_sample_outcomes GROUP BY model_id, dataset_id, class_index",
    "mart_sample_outcomes, one sample": "SELECT * FROM mart_sample_outcomes"
    " WHERE dataset_id = 'set-0' AND sample_id = 'image-000004'",
    "signal_flow, one model": "SELECT * FROM signal_flow WHERE model_id = 'model-01'"
    " ORDER BY dataset_id, depth, readout",
    "accuracy of every probe, from its logits": "SELECT p.probe_id, avg(CASE WHEN"
    " p.predicted_class_index = s.class_index THEN 1.0 ELSE 0.0 END) AS accuracy"
    " FROM probe_logit AS p JOIN probe AS b ON p.probe_id = b.probe_id"
    " JOIN sample AS s ON b.dataset_id = s.dataset_id AND p.sample_id = s.sample_id"
    " WHERE p.split = 'test' GROUP BY p.probe_id",
}

IN_SQLITE = (
    "sample",
    "probe",
    "probe_logit",
    "signal_flow",
    "mart_leaderboard",
    "mart_signal_flow",
    "mart_model_health",
    "mart_failure_modes",
    "mart_sample_outcomes",
)
INDEXES = {
    "sample": "dataset_id, sample_id",
    "probe": "probe_id",
    "signal_flow": "model_id",
    "mart_signal_flow": "model_id",
    "mart_sample_outcomes": "dataset_id, sample_id",
}


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median of several runs."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def to_sqlite(wh: Warehouse, path: Path) -> sqlite3.Connection:
    """The tables the questions read, without their array columns, indexed by key."""
    con = sqlite3.connect(path)
    for table in IN_SQLITE:
        relation = wh.sql(f'FROM "{table}" LIMIT 0')
        kinds = zip(relation.columns, relation.types, strict=True)
        columns = [name for name, kind in kinds if "[" not in str(kind) and str(kind) != "JSON"]
        con.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
        marks = ", ".join("?" * len(columns))
        rows = wh.sql(f'SELECT {", ".join(map(_plain, columns))} FROM "{table}"')
        con.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows.iter_rows())
        if table in INDEXES:
            con.execute(f'CREATE INDEX "{table}_key" ON "{table}" ({INDEXES[table]})')
    con.execute("ANALYZE")
    con.commit()
    return con


def _plain(column: str) -> str:
    """SQLite's driver knows no dates."""
    return f"{column}::VARCHAR" if column == "built_on" else column


def _asked(ask: Callable[[str], Any], query: str) -> None:
    ask(query).fetchall()


def compare(wh: Warehouse, folder: Path) -> None:
    """One line per question: milliseconds here, there, and their ratio."""
    sqlite = to_sqlite(wh, folder / "same.sqlite")
    print(f"{'question':<42}{'DuckDB':>10}{'SQLite':>10}{'ratio':>8}")
    for name, query in QUESTIONS.items():
        here = seconds(partial(_asked, wh.sql, query))
        there = seconds(partial(_asked, sqlite.execute, query), 3)
        print(f"{name:<42}{here * 1e3:>7.1f} ms{there * 1e3:>7.1f} ms{there / here:>8.1f}")
    sqlite.close()


def one_locus(folder: Path) -> None:
    """The bytes one locus takes out of shards with 95 of them, next to all of their bytes."""
    lake = Lake.at(folder / "vectors")
    samples = Samples.draw(0, 1024)
    write_vectors(lake, "model-00", samples, 256)
    query = (
        "SELECT sum(vector[1]) FROM activation WHERE model_id = 'model-00'"
        " AND module = 'llm' AND layer = 12 AND readout = 'mean'"
    )
    refresh(lake)
    read = bytes_read(lake, query)
    shards = list((lake.root / "activation").rglob("*.parquet"))
    stored = sum(path.stat().st_size for path in shards)
    groups = sum(locus_bytes(path, 12, "mean") for path in shards if "module=llm" in str(path))
    print(f"one locus: {read / 1e6:.2f} MB read of {stored / 1e6:.1f} MB; ", end="")
    print(f"its row groups hold {groups / 1e6:.2f} MB, footers not counted")


def bytes_read(lake: Lake, query: str) -> int:
    """What DuckDB says it read from the files."""
    with attach(lake) as con:
        con.execute("SET enable_profiling = 'no_output'")
        con.execute(query).fetchall()
        return int(
            json.loads(con.get_profiling_information(format="json"))["io"]["total_bytes_read"]
        )


def locus_bytes(path: Path, layer: int, readout: str) -> int:
    """The compressed size of the row groups of one locus and readout in one shard."""
    footer = pq.ParquetFile(path).metadata
    names = footer.schema.to_arrow_schema().names
    size = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        held = [group.column(names.index(name)).statistics.min for name in ("layer", "readout")]
        if held == [layer, readout]:
            size += sum(group.column(i).total_compressed_size for i in range(group.num_columns))
    return size


def rebuild(folder: Path, shards: int) -> None:
    """How the time to rebuild grows with one lake: a quarter of the shards, half, all."""
    print(f"{'shards':>8}{'rebuild':>10}{'per 1,000 shards':>20}")
    lake, held = Lake.at(folder / "shards"), 0
    for count in (shards // 4, shards // 2, shards):
        many_shards(lake, held // 4, count // 4)
        held = count
        taken = seconds(lambda: refresh(lake, force=True), 3)
        print(f"{count:>8}{taken:>8.2f} s{taken / count * 1e3:>18.3f} s", flush=True)
    shutil.rmtree(lake.root)


def many_shards(lake: Lake, first: int, last: int) -> None:
    """Commits as an extraction makes them: answers, and vectors of three modules."""
    with RunWriter(lake, RunSpec("extract", "model-00", "set-0", {"first": first})) as writer:
        for number in range(first, last):
            ids = [f"image-{number:05d}-{row}" for row in range(4)]
            writer.commit({"answer": _answers(ids), "activation": _vectors(ids)})


def _answers(ids: list[str]) -> pa.Table:
    logprobs = pa.array([[-0.7, -0.7]] * len(ids), pa.list_(pa.float32()))
    return likelihoods("model-00", "set-0", ids, np.zeros(len(ids), np.int32), logprobs)


def _vectors(ids: list[str]) -> pa.Table:
    rows = [(module, sample) for module in ("vision", "connector", "llm") for sample in ids]
    n = len(rows)
    return pa.table(
        {
            "model_id": ["model-00"] * n,
            "dataset_id": ["set-0"] * n,
            "module": [module for module, _ in rows],
            "layer": pa.array([0] * n, pa.int32()),
            "readout": ["mean"] * n,
            "sample_id": [sample for _, sample in rows],
            "vector": pa.array([[0.5, -0.5]] * n, pa.list_(pa.float32())),
        }
    )


def validation(lake: Lake, folder: Path, *, full: bool) -> None:
    """Every check of the whole warehouse, and of wide vectors."""
    from warehouse.validation import validate

    n = 20_000 if full else 2_000
    wide = Lake.at(folder / "wide")
    wide_vectors(wide, n, 4096)
    for what, place in (("without vectors", lake), (f"with {n:,} × 4,096 vectors", wide)):
        refresh(place)
        report = validate(place)
        wrong = [f"{check.table}.{check.name}" for check in report.failures]
        print(f"validation {what}: {len(report.checks)} checks in {report.seconds:.1f} s", end="")
        print(f", failed: {', '.join(wrong) or 'none'}", flush=True)


def wide_vectors(lake: Lake, n: int, width: int) -> None:
    """One locus of n vectors, 256 a shard, as a model of that width gives them."""
    rng = np.random.default_rng(0)
    values = pa.array(rng.standard_normal(256 * width, np.float32))
    offsets = pa.array(np.arange(257, dtype=np.int32) * width)
    vectors = pa.ListArray.from_arrays(offsets, values)
    samples = Samples.draw(0, n)
    write_dataset(lake, samples)
    with RunWriter(lake, RunSpec("extract", "model-00", "set-0", {"wide": n})) as writer:
        writer.commit(described("model-00", width))
        for first in range(0, n, 256):
            rows = min(256, n - first)
            table = pa.table(
                {
                    "model_id": pa.repeat("model-00", rows),
                    "dataset_id": pa.repeat("set-0", rows),
                    "module": pa.repeat("llm", rows),
                    "layer": pa.repeat(pa.scalar(0, pa.int32()), rows),
                    "readout": pa.repeat("last", rows),
                    "sample_id": samples.sample_id[first : first + rows],
                    "vector": vectors.slice(0, rows),
                }
            )
            writer.commit({"activation": table}, covers={"loci": [str(first)]})
        writer.finish()


def steps(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Run what was asked for, one measurement after the other."""
    lake = Lake.at(given.lake) if given.lake else Lake.at(folder / "lake")
    if not given.lake:
        build(lake, FULL if given.full else SMALL)
    if "questions" in given.only:
        taken = seconds(lambda: refresh(lake, force=True), 1)
        size = lake.catalogue.stat().st_size
        yield f"catalogue built in {taken:.1f} s, {size / 1e6:.0f} MB"
        with connect(lake) as wh:
            compare(wh, folder)
    if "locus" in given.only:
        one_locus(folder)
    if "rebuild" in given.only:
        rebuild(folder, 10_000 if given.full else 1_000)
    if "validation" in given.only:
        validation(lake, folder, full=given.full)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--lake", type=Path)
    measured = ["questions", "locus", "rebuild", "validation"]
    parser.add_argument("--only", nargs="+", choices=measured, default=measured)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in steps(given, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
