"""Joining what became small: commits of one run behind one record, their rows in fewer shards.

A compaction is a commit like any other, of which each says whose place it takes: from then on
readers see it instead of these, all at once, and nothing of them was touched. Their files go later,
on request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.drafting import LaterTimes, draft
from warehouse.lake.facts import COMPACT, REMOVE
from warehouse.lake.folding import folded
from warehouse.lake.history import History
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import dropped_controls, reread
from warehouse.lake.samples import Marks, removed_samples, without_places
from warehouse.lake.standing import Standing, list_records
from warehouse.schema import newest_migration
from warehouse.storage import Draft, Shard

FEWEST = 8
"""Records of a run that are worth joining."""
MOST_COMMITS = 4096
MOST_BYTES = 64 * 2**20
"""What one compaction holds at most, so that its record stays small, and what damage to one of its
shards costs; a commit or compaction of half of that is not small."""


@dataclass(frozen=True)
class Compaction:
    """Records of one run to be joined, by number; `joined` is what came of it, if anything did.

    `marks` are those of samples that were removed from their dataset, whose rows are left out.
    """

    run_id: str
    records: tuple[Commit, ...]
    joined: Commit | None = None
    marks: Marks = field(default_factory=dict)

    @property
    def n_commits(self) -> int:
        return sum(len(record.numbers) for record in self.records)

    @property
    def n_shards(self) -> int:
        return sum(len(record.shards) for record in self.records)

    @property
    def n_bytes(self) -> int:
        return sum(map(_size, self.records))

    @property
    def n_folders(self) -> int:
        """The shards that are left of these."""
        return len({_place(shard) for record in self.records for shard in record.shards})

    @property
    def commit_id(self) -> str:
        """The same for the same commits, so that two that join them make one."""
        numbers = sorted(n for record in self.records for n in record.numbers)
        said = [self.run_id, numbers, *([sorted(self.marks)] if self.marks else [])]
        return f"{COMPACT}-{blake2b(repr(said).encode(), digest_size=6).hexdigest()}-0"


def compact(lake: Lake, *, dry_run: bool = False) -> Iterator[Compaction]:
    """Join the small commits of each run that has many, one group at a time, each in one commit.

    With `dry_run` nothing is done but to say what would be. A group of which somebody else joined
    or removed some meanwhile is left as it is, its `joined` being None. Raises LayerhouseError for
    a shard that is damaged, a record that cannot be read, and where the lake cannot be written to.
    """
    lake.require()
    if not dry_run:
        lake.create()
    records, marks, moments = list_records(lake), removed_samples(lake), LaterTimes(lake)
    for one in _planned(records):
        left_out = marks.get(one.records[0].dataset_id or "", {})
        yield one if dry_run else join(lake, replace(one, marks=left_out), moments)


def joinable(records: Iterable[Commit]) -> int:
    """How many records fewer a lake would have that has these."""
    return sum(len(one.records) - 1 for one in _planned(records))


def _planned(records: Iterable[Commit]) -> Iterator[Compaction]:
    by_run: dict[str, list[Commit]] = defaultdict(list)
    for record in records:
        if record.command != REMOVE:
            by_run[record.of].append(record)
    for run_id, those in by_run.items():
        for group in _groups(sorted(those, key=lambda one: min(one.numbers))):
            if len(group) >= FEWEST:
                yield Compaction(run_id, tuple(group))


def _groups(records: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The small records of a run in groups, none of which is too large."""
    group: list[Commit] = []
    n_bytes = n_commits = 0
    for record in records:
        size, count = _size(record), len(record.numbers)
        if 2 * size >= MOST_BYTES or 2 * count >= MOST_COMMITS:
            continue
        if n_bytes + size > MOST_BYTES or n_commits + count > MOST_COMMITS:
            yield group
            group, n_bytes, n_commits = [], 0, 0
        group.append(record)
        n_bytes, n_commits = n_bytes + size, n_commits + count
    yield group


def _size(record: Commit) -> int:
    return sum(shard.bytes for shard in record.shards)


def _place(shard: Shard) -> tuple[str, str]:
    """The table of a shard and its folder."""
    return shard.table, shard.path.rpartition("/")[0]


def join(lake: Lake, planned: Compaction, moments: LaterTimes) -> Compaction:
    """Write the rows of these records anew and put the compaction in their place, at the next of
    `moments`, which look at all commits of the lake once. Raises as `compact`."""
    work = sorted((one for r in planned.records for one in r.work), key=lambda one: one.n)
    by_place: dict[tuple[str, str], list[tuple[Commit, Shard]]] = defaultdict(list)
    for record in planned.records:
        for shard in record.shards:
            by_place[_place(shard)].append((record, shard))
    made: list[tuple[Draft, list[list[int]]]] = []
    try:
        dropped = dropped_controls(lake, planned.records, planned.marks)
        with ExitStack() as written:
            for place, those in sorted(by_place.items()):
                piece, parts = reread(lake, place, those, planned.marks, dropped)
                if piece.rows.num_rows:
                    made.append((draft(lake, planned.commit_id[:-2], piece, written), parts))
            covers = [without_places(c.covers, planned.marks, dropped[c.n]) for c in work]
            return replace(planned, joined=_entered(lake, planned, work, covers, made, moments))
    except OSError as error:
        raise LayerhouseError(
            f"cannot write to the lake {lake}: {error.strerror or error}; nothing of it changed, "
            "and the same command goes on from there"
        ) from error


def _entered(
    lake: Lake,
    planned: Compaction,
    work: Sequence[Commit],
    covers: Sequence[dict[str, Any]],
    made: Sequence[tuple[Draft, list[list[int]]]],
    moments: LaterTimes,
) -> Commit | None:
    """Make the compaction visible, unless one of those that it joins does not count any more, or
    other samples were removed meanwhile."""
    store, drafts = lake.store, [each for each, _ in made]
    moments.warm(store.commit_names())
    with lake.committing():
        while True:
            turn = store.turn()
            standing = Standing.of(lake, turn.names)
            removed = standing.samples.get(planned.records[0].dataset_id or "", {})
            if removed != planned.marks or not all(
                _still_counts(standing, turn.names, one) for one in planned.records
            ):
                store.withdraw(drafts)
                return None
            paths = [store.path(each, planned.commit_id) for each in drafts]
            now = moments.next(turn.names).isoformat(timespec="microseconds")
            commit = replace(
                _commit(planned.commit_id, work, covers, now),
                shards=[each.shard(path) for each, path in zip(drafts, paths, strict=True)],
            )
            parts = {path: each for path, (_, each) in zip(paths, made, strict=True)}
            commit = replace(commit, joins={**(commit.joins or {}), "parts": parts})
            if store.enter(turn, planned.commit_id, commit.to_json(), drafts):
                return commit


def _still_counts(standing: Standing, names: frozenset[str], one: Commit) -> bool:
    return one.commit_id in names and standing.is_live(one.commit_id)


def _commit(
    commit_id: str, work: Sequence[Commit], covers: Sequence[dict[str, Any]], now: str
) -> Commit:
    """The compaction, but for its shards."""
    last = work[-1]
    unsaid: dict[str, Any] = {
        "finished_at": None,
        "status": "running",
        "device": None,
        "versions": {},
    }
    return Commit(
        run_id=commit_id[:-2],
        n=0,
        command=COMPACT,
        model_id=last.model_id,
        dataset_id=last.dataset_id,
        committed_at=now,
        covers={},
        shards=[],
        schema=newest_migration(),
        notes=_notes(work),
        joins={
            "run": unsaid | last.row,  # the oldest records do not say how their run stood
            "n": [one.n for one in work],
            "committed_at": [one.committed_at for one in work],
            "hash": [one.hash for one in work],
            "covers": folded(covers),
            "bytes": sum(one.n_bytes for one in work),
        },
    )


def _notes(work: Sequence[Commit]) -> dict[str, Any]:
    """What the commits took, added up; of what else they note all of a list, else the newest."""
    said: dict[str, Any] = {}
    for name, value in (note for one in work for note in one.notes.items()):
        before = said.get(name, []) if isinstance(value, list) else None
        said[name] = value if before is None else list(dict.fromkeys([*before, *value]))
    took = History(work).took({})
    return said | {name: value for name, value in took.items() if value is not None}
