"""Giving back the space of what no reader sees any more: the only thing that deletes shards."""

from __future__ import annotations

from collections import deque

from warehouse.errors import LayerhouseError
from warehouse.lake.commits import Commit
from warehouse.lake.erasing import erase
from warehouse.lake.inspection import (
    FREED,
    Leftover,
    Stock,
    dead_in_quarantine,
    leftovers,
    take_stock,
)
from warehouse.lake.lake import Lake


def free(lake: Lake, *, dry_run: bool = False) -> list[Leftover]:
    """Delete the shards that removals took out, the shards and records whose place compactions
    took, and the shards in quarantine that no commit can name any more; returns which. With
    `dry_run` none is deleted.

    Every byte of a compaction is looked at before what it joined goes. Records of what was removed
    stay, so that no number is given twice; those of what was joined are told of by the compaction.
    Whoever opened the lake before loses the vectors that it still saw. Raises LayerhouseError where
    a commit record cannot be read, which may need what would be deleted, where a compaction is
    damaged, and where a file cannot be deleted.
    """
    lake.require()
    _refuse_unread(take_stock(lake))
    if not dry_run:
        deque(erase(lake), maxlen=0)  # where a removal of samples was killed before it did so
    try:
        with lake.committing():
            stock = take_stock(lake)
            _refuse_unread(stock)
            records = _records(stock)
            told_of = {one.commit_id for one in records}
            others = [one for one in stock.joined if one.commit_id not in told_of]
            spared = {shard.path for one in others for shard in one.shards}
            found = [
                each
                for each in leftovers(lake, stock)
                if each.kind in FREED and each.path not in spared
            ]
            found += dead_in_quarantine(lake, stock)
            told = [_file(lake, one) for one in records]
            if records:
                _refuse_damaged(lake, stock)
            if not dry_run:
                lake.store.delete([each.path for each in found])
                lake.store.delete_records([one.commit_id for one in records])
                lake.store.forget()
            return [*found, *told]
    except OSError as error:
        raise LayerhouseError(
            f"cannot delete what was removed from {lake}: {error.strerror or error}; "
            "run `layerhouse status --free` again once its files may be deleted"
        ) from error


def _refuse_unread(stock: Stock) -> None:
    for newer in stock.newer:
        raise newer
    if stock.unreadable:
        raise LayerhouseError(
            f"{stock.unreadable[0].path} cannot be read; run `layerhouse status --repair` "
            "first, then free what was removed"
        )


def _records(stock: Stock) -> list[Commit]:
    """The commits whose records a compaction tells of as they are: of another one of that number,
    from before a repair, nothing is deleted."""
    told = {one.commit_id: one.hash for each in stock.commits for one in each.work}
    return [one for one in stock.joined if one.joins is not None or told[one.commit_id] == one.hash]


def _refuse_damaged(lake: Lake, stock: Stock) -> None:
    shards = [s for each in stock.commits if each.joins is not None for s in each.shards]
    for path, problem in lake.store.problems(shards, verify=True).items():
        raise LayerhouseError(
            f"the shard {path} of {lake} {problem}, and what it was joined from is still there; "
            "run `layerhouse status --repair`, which goes back to that"
        )


def _file(lake: Lake, one: Commit) -> Leftover:
    path = f"commits/{one.commit_id}.json"
    return Leftover(path, "joined", (lake.root / path).stat().st_size)
