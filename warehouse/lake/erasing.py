"""Writing shards anew without the samples that were removed: nobody reads these any more, and now
the files can go."""

from __future__ import annotations

from collections.abc import Iterator

from warehouse.lake.commits import Commit
from warehouse.lake.compacting import Compaction, join
from warehouse.lake.drafting import LaterTimes
from warehouse.lake.facts import REMOVE
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import holds_removed
from warehouse.lake.samples import Marks, removed_samples
from warehouse.lake.standing import list_records


def erase(lake: Lake) -> Iterator[Compaction]:
    """Put a compaction without removed samples in the place of each commit that holds some.

    Killed anywhere, what is left is done by the next. Raises as `compact`.
    """
    removed = removed_samples(lake)
    records, moments = list_records(lake) if removed else [], LaterTimes(lake)
    # What came after the removal was made without them, or was refused.
    last = {one.run["config"]["name"]: one.order for one in records if one.removes_samples}
    for record in records:
        marks = removed.get(record.dataset_id or "", {})
        is_older = marks and record.command != REMOVE and record.order < last[record.dataset_id]
        if is_older and _holds(lake, record, marks):
            yield join(lake, Compaction(record.of, (record,), marks=marks), moments)


def _holds(lake: Lake, record: Commit, marks: Marks) -> bool:
    return any(holds_removed(lake, shard, marks) for shard in record.shards)
