"""Gives a registered dataset other groups or folds: as its next revision, or as a new dataset.

Nothing is edited: the rows that change are written again, and the later commit counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from extract.datasets.naming import COMMAND
from extract.datasets.registration import Registration, check_name, registered
from warehouse.catalogue import Warehouse, dataset, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, RunWriter, find_runs

COPIED = ("class", "sample", "sample_attribute", "image_file", "sample_fold")
"""What a dataset consists of beside its own row."""

Row = dict[str, Any]
Tables = dict[str, list[Row]]


@dataclass(frozen=True)
class Remade:
    """A dataset with some rows changed, under its own name or a new one.

    `rows` are all rows that it then consists of, `changed` those of them that are not as stored;
    `mark` says in text what about it is another now.
    """

    name: str
    into: str | None
    rows: Tables
    changed: Tables
    mark: str

    def write(self, lake: Lake) -> None:
        """Commits it whole. UsageError where the new name is that of another dataset."""
        known = registered(lake)
        entry = self._entry(known[self.name])
        if self.into is None:
            if self.changed:
                _write(lake, self.name, entry, self.changed)
            return
        if self.into in known:
            # the same is there where this command was killed just after it had made it
            if known[self.into].fingerprint != entry.fingerprint:
                raise UsageError(f"{self.into} is registered already; give --into a new name")
            return
        renamed = {
            table: [{**row, "dataset_id": self.into} for row in own]
            for table, own in self.rows.items()
            if own
        }
        for row in renamed["dataset"]:  # two of one title could not be told apart in a report
            row["title"] = f"{row['title']} ({self.into})"
        _write(lake, self.into, entry, renamed)

    def _entry(self, known: Registration) -> Registration:
        text = f"{known.fingerprint}\n{self.mark}"
        fingerprint = blake2b(text.encode(), digest_size=16).hexdigest()
        if self.into is not None:
            return replace(known, fingerprint=fingerprint, as_added=None, revision=0)
        return replace(
            known,
            fingerprint=fingerprint,
            as_added=known.as_added or known.fingerprint,
            revision=known.revision + 1,
        )


def stored_rows(lake: Lake, name: str) -> Tables:
    """All rows that a dataset consists of, by table, its own row under `dataset`.

    UsageError with the nearest names for a dataset that the lake does not hold.
    """
    with open_tables(lake) as wh:
        dataset(wh, name)
        return {table: rows_of(wh, table, name) for table in ("dataset", *COPIED)}


def rows_of(wh: Warehouse, table: str, name: str) -> list[Row]:
    """A dataset's rows of a table, as a commit writes them."""
    query = f'SELECT * EXCLUDE (run_id) FROM "{table}" WHERE dataset_id = $1 ORDER BY ALL'
    return wh.sql(query, [name]).pl().to_dicts()


def refuse_resting(
    lake: Lake, name: str, into: str | None, commands: Collection[str], on: str
) -> None:
    """LayerhouseError where runs of these commands rest on what is to change (`on`) in place.

    Checks a new name instead where there is one.
    """
    if into is not None:
        check_name(into, "")
        return
    resting = [
        run["run_id"] for run in find_runs(lake, dataset_id=name) if run["command"] in commands
    ]
    if resting:
        raise LayerhouseError(
            f"{len(resting)} runs rest on the {on} of {name}, first {resting[0]}, and their "
            f"numbers would mean something else; --into NEW makes a dataset of other {on} beside "
            "it, or take them out with `layerhouse runs remove RUN` first"
        )


def _write(lake: Lake, name: str, entry: Registration, tables: Tables) -> None:
    covers = entry.covers()
    with RunWriter(lake, RunSpec(COMMAND, None, name, covers)) as writer:
        writer.commit(tables, covers=covers, finished=True)
