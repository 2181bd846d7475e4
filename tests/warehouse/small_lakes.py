"""Rows and lakes of a few samples, for tests of the lake itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from warehouse.catalogue.building import show_vectors
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.filling import fill
from warehouse.catalogue.reading import open_catalogue, set_vector_shards
from warehouse.catalogue.refreshing import refresh
from warehouse.catalogue.soundness import NOTE
from warehouse.lake import records
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_records
from warehouse.schema import apply, migrations
from warehouse.vocabulary import VECTOR_TABLES

Row = dict[str, Any]

# A model id with every character that a folder name must not take by its letter.
MODEL = "tiny+fault:swap@vision:0.5,seed=1"
DATASET = "digits"
UNSAID = {"licence": None, "pixel_rule": None}
"""What the row of a dataset need not say: columns with NULL for a plain one."""


def dataset_rows(dataset_id: str = DATASET, n: int = 4) -> dict[str, list[Row]]:
    """A dataset of two classes whose samples s0, s1, … take turns in train, val and test."""
    return {
        "dataset": [
            {
                "dataset_id": dataset_id,
                "title": "Digits",
                "n_samples": n,
                "n_classes": 2,
                **UNSAID,
            }
        ],
        "class": [
            {"dataset_id": dataset_id, "class_index": i, "label": label, "phrase": f"a {label}"}
            for i, label in enumerate(["zero", "one"])
        ],
        "sample": [
            {
                "dataset_id": dataset_id,
                "sample_id": f"s{i}",
                "uri": f"made-up:{i}",
                "sha256": f"{i:064x}",
                "class_index": i % 2,
                "split": ["train", "val", "test"][i % 3],
                "group_id": f"g{i}",
                "width": 8,
                "height": 8,
            }
            for i in range(n)
        ],
    }


def activation_rows(
    samples: list[str],
    *,
    model_id: str = MODEL,
    dataset_id: str = DATASET,
    loci: tuple[tuple[str, int], ...] = (("vision", 0), ("vision", 1), ("llm", 0)),
    readouts: tuple[str, ...] = ("mean", "grid"),
) -> list[Row]:
    """Vectors of two numbers: the layer, and the sample's own number."""
    return [
        {
            "model_id": model_id,
            "dataset_id": dataset_id,
            "module": module,
            "layer": layer,
            "readout": readout,
            "sample_id": sample,
            "vector": [float(layer), float(sample.removeprefix("s"))],
        }
        for sample in samples
        for module, layer in loci
        for readout in readouts
    ]


def token_rows(samples: list[str], *, model_id: str = MODEL) -> list[Row]:
    """Two tokens side by side at the end of vision: the sample's own number, and the token's."""
    return [
        {
            "model_id": model_id,
            "dataset_id": DATASET,
            "module": "vision",
            "layer": 1,
            "sample_id": sample,
            "token": token,
            "row": 0,
            "column": token,
            "vector": [float(sample.removeprefix("s")), float(token)],
        }
        for sample in samples
        for token in range(2)
    ]


def answer_row(sample: str, *, model_id: str = MODEL, dataset_id: str = DATASET) -> Row:
    return {
        "model_id": model_id,
        "dataset_id": dataset_id,
        "sample_id": sample,
        "method": "generate",
        "predicted_class_index": 1,
        "label_logprobs": None,
        "text": "one",
        "parsed": True,
        "finish_reason": "stop",
        "n_tokens": 2,
        "raw_text": "one",
        "options": None,
        **dict.fromkeys(("label_logprobs_per_token", "label_pmi", "end_token")),
    }


def extract_spec(model_id: str = MODEL, **config: Any) -> RunSpec:
    return RunSpec("extract", model_id, DATASET, config)


def add_dataset(lake: Lake, n: int = 4) -> None:
    with RunWriter(lake, RunSpec("datasets", None, DATASET, {"n": n})) as writer:
        writer.commit(dataset_rows(n=n))
        writer.finish()


def add_extraction(lake: Lake, model_id: str = MODEL, samples: int = 4) -> None:
    """Two commits of half the samples each, and the finish."""
    names = [f"s{i}" for i in range(samples)]
    with RunWriter(lake, extract_spec(model_id)) as writer:
        for part in (names[: samples // 2], names[samples // 2 :]):
            writer.commit(
                {
                    "activation": activation_rows(part, model_id=model_id),
                    "answer": [answer_row(sample, model_id=model_id) for sample in part],
                },
                covers={"loci": part},
            )
        writer.finish()


def small_lake(path: Path | str) -> Lake:
    """A dataset of four samples and one model's extraction on it."""
    lake = Lake.at(path)
    add_dataset(lake)
    add_extraction(lake)
    return lake


def resealed(record: dict[str, Any]) -> str:
    """The text of a changed commit record, its checksum right again."""
    notes = record.get("notes")
    if isinstance(notes, dict) and notes.pop(records.CHECK, None):
        with suppress(TypeError, ValueError):
            notes[records.CHECK] = records.checksum(record)
    return json.dumps(record)


def rewrite(path: Path, **values: Any) -> None:
    """Change fields of a commit record as a writer would have written them."""
    path.write_text(resealed(json.loads(path.read_text()) | values))


def contents(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, mart and view of vectors, sorted, without the times of the build
    and of the records' files.

    Other views hold nothing of their own.
    """
    refresh(lake)
    with open_catalogue(lake) as con:
        found = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary AND table_name <> 'ahead'"
        ).fetchall()
        names = {*VECTOR_TABLES, *(name for (name,) in found)}
        return {
            name: sorted(con.execute(f'FROM "{name}"').fetchall(), key=repr)
            for name in sorted(names - {"catalogue_build", "schema_migration", "record_file"})
        }


@contextmanager
def tampered(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Its catalogue open for writing, of which nothing then says that it was built otherwise."""
    with duckdb.connect(str(lake.catalogue)) as con:
        yield con
    (lake.root / NOTE).unlink(missing_ok=True)


def rows(lake: Lake, table: str) -> list[tuple[Any, ...]]:
    """A table's committed rows, sorted, without the cost of views and marts."""
    return rows_of(lake, table)[table]


def rows_of(lake: Lake, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """The same of several tables."""
    with _empty_tables() as con:
        fill(con, lake, list_records(lake))
        set_vector_shards(con, lake)
        for (name,) in con.execute("SELECT DISTINCT table_name FROM shard").fetchall():
            if name in VECTOR_TABLES and name in tables:
                show_vectors(con, SHIPPED, name)
        return {
            table: sorted(con.execute(f'FROM "{table}"').fetchall(), key=repr) for table in tables
        }


@contextmanager
def _empty_tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that holds what the migrations make: copying one is quicker than making it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tables.duckdb"
        path.write_bytes(_migrated())
        with duckdb.connect(str(path)) as con:
            con.execute("PRAGMA disable_checkpoint_on_shutdown")
            yield con


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tables.duckdb"
        with duckdb.connect(str(path)) as con:
            apply(con, migrations())
        return path.read_bytes()


def files(lake: Lake, pattern: str = "*") -> set[str]:
    """Relative paths of the lake's files that match, without the lock files."""
    return {
        path.relative_to(lake.root).as_posix()
        for path in lake.root.rglob(pattern)
        if path.is_file() and path.name not in ("lock", "catalog.lock")
    }
