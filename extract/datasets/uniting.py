"""Puts near-duplicates into one group: in the dataset itself, or in a new one with whole splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extract.datasets.folding import deal
from extract.datasets.groups import Joined
from extract.datasets.remaking import Remade, Row, refuse_resting, stored_rows
from extract.datasets.splits import check_classes
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake
from warehouse.vocabulary import MADE_FROM, SPLITS


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
    refuse_resting(lake, name, into, set(MADE_FROM) - {"datasets-audit"}, "groups")
    rows = stored_rows(lake, name)
    group_of = {row["sample_id"]: row["group_id"] for row in rows["sample"]}
    joined = joined_groups(group_of, pairs)
    changed = _changed(rows["sample"], joined, into)
    new_of = {new["sample_id"]: new for _, new in changed}
    rows["sample"] = [new_of.get(row["sample_id"], row) for row in rows["sample"]]
    n_folds = rows["dataset"][0]["n_folds"]
    if n_folds:
        rows["sample_fold"] = deal(rows["sample"], n_folds)
    elif into is not None:
        columns = ([row[name] for row in rows["sample"]] for name in ("class_index", "split"))
        check_classes(*columns)
    mark = "\n".join(
        f"{row['sample_id']}\t{row['group_id']}\t{row['split']}" for row in new_of.values()
    )
    own = {"sample": list(new_of.values())} if new_of else {}
    if own and n_folds:
        own["sample_fold"] = rows["sample_fold"]
    Remade(name, into, rows, own, mark).write(lake)
    n_joined = sum(group != kept for group, kept in joined.items())
    return United(into or name, n_joined, sum(new["split"] != old["split"] for old, new in changed))


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
