"""Rows of committed shards, read to be written anew, without those of samples that were removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.folding import in_runs
from warehouse.lake.lake import Lake
from warehouse.lake.samples import Marks, mark_of
from warehouse.lake.shards import Piece
from warehouse.lake.unpacking import read_shard
from warehouse.schema import SAMPLE_COLUMNS, names_samples
from warehouse.storage import Shard
from warehouse.untrusted import UnfitError

Dropped = Mapping[int, set[str]]
"""By number of a commit the image controls whose answers are left out: whose image one of them was
asked with was removed, and the range is asked about anew."""

DONORS = "image_donor"


def named_removed(rows: pa.Table, marks: Collection[str]) -> npt.NDArray[np.bool_]:
    """Which rows name a sample that was removed, in any column."""
    found = np.zeros(rows.num_rows, dtype=bool)
    for column in SAMPLE_COLUMNS:
        if column in rows.column_names:
            known = [name for name in pc.unique(rows[column]).to_pylist() if name is not None]
            gone = pa.array([name for name in known if mark_of(name) in marks], pa.string())
            found |= pc.is_in(rows[column], value_set=gone).to_numpy(zero_copy_only=False)
    return found


def reread(
    lake: Lake,
    place: tuple[str, str],
    those: Sequence[tuple[Commit, Shard]],
    marks: Marks,
    dropped: Dropped,
) -> tuple[Piece, list[list[int]]]:
    """The rows of shards of one table and folder, in their order, each byte held against what was
    committed, and how many are of which commit.

    What was damaged would be sealed anew, and no one could tell: raises LayerhouseError.
    """
    shards = [shard for _, shard in those]
    for path, problem in lake.store.problems(shards, verify=True).items():
        raise LayerhouseError(
            f"the shard {path} of {lake} {problem}; run `layerhouse status --repair` and then the "
            "command that made it again, then compact"
        )
    tables, parts = [], []
    for record, shard in those:
        rows, own = read_rows(lake, shard), list(record.parts_of(shard))
        if marks and names_samples(shard.table):
            kept = _kept(rows, own, marks, dropped)
            rows = rows.filter(pa.array(kept))
            ends = np.cumsum([count for _, count in own])
            counts = [int(part.sum()) for part in np.split(kept, ends[:-1])]
            own = [(n, count) for (n, _), count in zip(own, counts, strict=True) if count]
        tables.append(rows)
        parts += own
    # A column that a later migration added is in none of the older shards.
    return Piece(*place, pa.concat_tables(tables, promote_options="permissive")), in_runs(parts)


def read_rows(lake: Lake, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        return read_shard(lake, shard.path, columns)
    except (OSError, pa.ArrowException, UnfitError) as error:
        raise LayerhouseError(
            f"the shard {shard.path} of {lake} cannot be read ({ascii(str(error))[1:-1]}); "
            "`layerhouse status --verify` finds damaged shards"
        ) from error


def _kept(
    rows: pa.Table, own: Sequence[tuple[int, int]], marks: Marks, dropped: Dropped
) -> npt.NDArray[np.bool_]:
    """Which rows stay: neither of a removed sample nor an answer that is to be given anew."""
    kept = ~named_removed(rows, marks)
    if any(dropped.values()) and "image_control" in rows.column_names:
        numbers = [n for n, count in own for _ in range(count)]
        controls = rows["image_control"].to_pylist()
        kept &= [control not in dropped[n] for n, control in zip(numbers, controls, strict=True)]
    return kept


def dropped_controls(lake: Lake, records: Iterable[Commit], marks: Marks) -> Dropped:
    found: dict[int, set[str]] = defaultdict(set)
    for record in records if marks else ():
        for shard in record.shards:
            if shard.table == DONORS:
                rows = read_rows(lake, shard, ["donor_id", "image_control"])
                numbers = [n for n, count in record.parts_of(shard) for _ in range(count)]
                controls: list[Any] = rows["image_control"].to_pylist()
                for place in np.flatnonzero(named_removed(rows, marks)).tolist():
                    found[numbers[place]].add(controls[place])
    return found


def holds_removed(lake: Lake, shard: Shard, marks: Marks) -> bool:
    """Whether a shard of a dataset has rows that name samples that were removed from it."""
    if not marks or not names_samples(shard.table):
        return False
    return bool(named_removed(read_rows(lake, shard, SAMPLE_COLUMNS), marks).any())
