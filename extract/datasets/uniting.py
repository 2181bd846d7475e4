"""Puts near-duplicates into one group: in the dataset itself, or in a new one with whole splits.

Nothing is edited: the samples whose group changes are written again, and the later commit counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from extract.datasets.groups import Joined
from extract.datasets.registration import COMMAND, Registration, check_name, registered
from extract.datasets.splits import check_classes
from warehouse.catalogue import Warehouse, dataset, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, RunWriter, find_runs
from warehouse.vocabulary import MADE_FROM, SPLITS

COPIED = ("class", "sample", "sample_attribute", "image_file")
"""What a dataset consists of beside its own row."""

Row = dict[str, Any]


@dataclass(frozen=True)
class United:
    """How many groups became one of another, and how many samples changed their split for it."""

    dataset_id: str
    n_joined: int
    n_moved: int


def unite(
    lake: Lake, name: str, pairs: Iterable[tuple[str, str]], into: str | None = None
) -> United:
    """Joins the groups of both samples of each pair.

    Without `into` the groups of `name` itself change. That is refused where something was computed
    from the old ones, and where a joined group would lie in several splits. With `into` a dataset
    of that name gets all samples; a joined group goes to the split that most of it is in. Raises
    LayerhouseError, and UsageError for a name that cannot be taken.
    """
    known = registered(lake)
    if into is None:
        _refuse_dependents(lake, name)
    else:
        check_name(into, "")
    with open_tables(lake) as wh:
        samples = dataset(wh, name).samples
        rows = {table: rows_of(wh, table, name) for table in ("dataset", *COPIED)}
    group_of = dict(samples.select("sample_id", "group_id").iter_rows())
    joined = joined_groups(group_of, pairs)
    changed = _changed(rows["sample"], joined, into)
    n_joined = sum(group != kept for group, kept in joined.items())
    n_moved = sum(new["split"] != old["split"] for old, new in changed)
    entry = _entry(known[name], [new for _, new in changed], into)
    if into is None:
        if changed:
            _write(lake, name, entry, {"sample": [new for _, new in changed]})
        return United(name, n_joined, n_moved)
    if into in known:
        _refuse_another(known[into], entry, into)
        return United(into, n_joined, n_moved)
    new_of = {new["sample_id"]: new for _, new in changed}
    rows["sample"] = [new_of.get(row["sample_id"], row) for row in rows["sample"]]
    columns = ([row[name] for row in rows["sample"]] for name in ("class_index", "split"))
    check_classes(*columns)
    renamed = {
        table: [{**row, "dataset_id": into} for row in own] for table, own in rows.items() if own
    }
    _write(lake, into, entry, renamed)
    return United(into, n_joined, n_moved)


def joined_groups(group_of: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Every group by name: the group whose name all that are joined with it take, the first."""
    joined = Joined()
    for pair in pairs:
        kept, gone = sorted(joined.root(group_of[sample]) for sample in pair)
        joined.join(gone, into=kept)
    return {group: joined.root(group) for group in group_of.values()}


def _changed(
    samples: list[Row], joined: Mapping[str, str], into: str | None
) -> list[tuple[Row, Row]]:
    """The samples whose group or split is another one, before and after."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in samples:
        members[joined[row["group_id"]]].append(row)
    changed = []
    for group, own in members.items():
        counts = Counter(row["split"] for row in own)
        if len(counts) > 1 and into is None:
            cut = min(own, key=lambda row: row["sample_id"])
            other = next(row for row in own if row["split"] != cut["split"])
            raise LayerhouseError(
                f"near-duplicates lie in two splits, such as {cut['sample_id']} ({cut['split']}) "
                f"and {other['sample_id']} ({other['split']}), which no group can mend; --into NEW "
                "makes a dataset of the same images that keeps each group in one split"
            )
        split = max(SPLITS, key=lambda name: counts[name])
        for row in own:
            new = {**row, "group_id": group, "split": split}
            if new != row:
                changed.append((row, new))
    return changed


def _refuse_dependents(lake: Lake, name: str) -> None:
    resting = [
        run["run_id"]
        for run in find_runs(lake, dataset_id=name)
        if run["command"] in MADE_FROM and run["command"] != "datasets-audit"
    ]
    if resting:
        raise LayerhouseError(
            f"{len(resting)} runs rest on the groups of {name}, first {resting[0]}, and their "
            "intervals would mean something else; --into NEW makes a dataset with the groups "
            "united beside it"
        )


def _refuse_another(known: Registration, due: Registration, into: str) -> None:
    """The same is there where this command was killed just after it had made it."""
    if known.fingerprint != due.fingerprint:
        raise UsageError(f"{into} is registered already; give --into a new name")


def _entry(known: Registration, changed: list[Row], into: str | None) -> Registration:
    """What identifies the dataset with these samples changed."""
    text = f"{known.fingerprint}\n" + "\n".join(
        f"{row['sample_id']}\t{row['group_id']}\t{row['split']}" for row in changed
    )
    fingerprint = blake2b(text.encode(), digest_size=16).hexdigest()
    if into is not None:
        return replace(known, fingerprint=fingerprint, as_added=None, revision=0)
    return replace(
        known,
        fingerprint=fingerprint,
        as_added=known.as_added or known.fingerprint,
        revision=known.revision + 1,
    )


def rows_of(wh: Warehouse, table: str, name: str) -> list[Row]:
    """A dataset's rows of a table, as a commit writes them."""
    query = f'SELECT * EXCLUDE (run_id) FROM "{table}" WHERE dataset_id = $1 ORDER BY ALL'
    return wh.sql(query, [name]).pl().to_dicts()


def _write(lake: Lake, name: str, entry: Registration, tables: dict[str, list[Row]]) -> None:
    covers = entry.covers()
    with RunWriter(lake, RunSpec(COMMAND, None, name, covers)) as writer:
        writer.commit(tables, covers=covers, finished=True)
