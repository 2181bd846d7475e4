"""Where files of a lake still hold something of samples that were removed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import named_removed
from warehouse.lake.unpacking import read_shard
from warehouse.schema import PARTITIONS, SAMPLE_COLUMNS, names_samples, tables
from warehouse.storage import QUARANTINE
from warehouse.untrusted import UnfitError


@dataclass(frozen=True)
class Kept:
    """A file with rows that name samples which were removed from a dataset."""

    dataset_id: str
    path: str
    n_rows: int


def still_held(lake: Lake, removed: Mapping[str, Collection[str]]) -> Iterator[Kept]:
    """Every shard that a sample can be found in which was removed, by dataset the marks of those:
    shards that commits name, those whose place others took, those that no commit names, and those
    in quarantine. Of each the columns that name samples are read, and nothing where none was ever
    removed; what is no Parquet holds none, and what is too large to be read may hold any."""
    if not removed:
        return
    kinds = {table for table in tables() if names_samples(table)}
    for files in (lake.store.files(), lake.store.quarantined()):
        for path, _ in files:
            own = path.split("/", 2)[-1] if path.startswith(f"{QUARANTINE}/") else path
            if own.endswith(".parquet") and own.partition("/")[0] in kinds:
                yield from _found(lake, path, own, removed)


def _found(
    lake: Lake, path: str, own: str, removed: Mapping[str, Collection[str]]
) -> Iterator[Kept]:
    table, *folders, _ = own.split("/")
    named = dict(folder.partition("=")[::2] for folder in folders)
    hive = [
        folder for folder, column in PARTITIONS.get(table, {}).items() if column == "dataset_id"
    ]
    of = unquote(named.get(hive[0], "")) if hive else None
    if of is not None and of not in removed:
        return
    rows: pa.Table | None = None
    try:
        n_rows = pq.read_metadata(lake.store.open(path)).num_rows
        with suppress(UnfitError):
            rows = read_shard(lake, path, ["dataset_id", *SAMPLE_COLUMNS])
    except (OSError, pa.ArrowException):
        return
    for dataset_id, marks in removed.items() if of is None else [(of, removed[of])]:
        if n := n_rows if rows is None else _count(rows, dataset_id, marks):
            yield Kept(dataset_id, path, n)


def _count(rows: pa.Table, dataset_id: str, marks: Collection[str]) -> int:
    found = named_removed(rows, marks)
    if "dataset_id" in rows.column_names:
        found &= (
            pc.equal(rows["dataset_id"], dataset_id).to_numpy(zero_copy_only=False).astype(bool)
        )
    return int(np.count_nonzero(found))
