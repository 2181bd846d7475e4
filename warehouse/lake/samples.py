"""Samples of a dataset: the order in which they are taken, and by what those that were removed are
known.

A commit says by places in that order what it did, so that a sample that is removed leaves its place
empty for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b, sha256
from typing import Any

from warehouse.lake.commits import Commit
from warehouse.lake.lake import Lake
from warehouse.lake.standing import Standing, settled
from warehouse.vocabulary import GONE

Marks = Mapping[str, int]
"""By mark the places of the samples of one dataset that were removed."""


def mark_of(name: str) -> str:
    """What a removed sample, or a group, is known by: who knows its name can recognise it."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()


def sample_order(sample_ids: Iterable[str], removed: Iterable[int] = ()) -> list[str]:
    """All sample ids in the order they are taken in, which is by a hash of each, so that any
    beginning is a fair mixture; `GONE` at the places of those that were removed."""
    order = sorted(sample_ids, key=lambda name: (blake2b(name.encode()).digest(), name))
    for place in sorted(removed):
        order.insert(place, GONE)
    return order


def removed_samples(lake: Lake) -> dict[str, dict[str, int]]:
    """By dataset the marks and places of the samples that were removed from it."""
    return settled(lake, lambda names: dict(Standing.of(lake, names).samples))


def without_places(
    covers: Mapping[str, Any], marks: Marks, dropped: Collection[str] = ()
) -> dict[str, Any]:
    """What a commit covers once rows were left out of it: samples that were removed count as
    rejected, and what was asked about images of the `dropped` controls as not asked."""
    if "start" not in covers:
        return dict(covers)
    gone = {place for place in marks.values() if covers["start"] <= place < covers["stop"]}
    told = dict(zip(covers.get("rejected", ()), covers.get("reasons", ()), strict=True))
    told |= dict.fromkeys(gone, "it was removed")
    found = dict(covers)
    if told:
        found |= {"rejected": sorted(told), "reasons": [told[place] for place in sorted(told)]}

    def kept(asked: str) -> bool:
        return asked.rpartition("/")[2] not in dropped

    def whole(said: Mapping[str, Any]) -> dict[str, Any]:
        return {**said, "cut": [place for place in said["cut"] if place not in gone]}

    if "tokens" in covers:
        counted = enumerate(covers["tokens"], start=covers["start"])
        found["tokens"] = [0 if place in gone else n for place, n in counted]
    if "answers" in covers:
        found["answers"] = list(filter(kept, covers["answers"]))
    if "replies" in covers:
        found["replies"] = whole(covers["replies"])
    if "swept_replies" in covers:
        swept = covers["swept_replies"].items()
        found["swept_replies"] = {asked: whole(said) for asked, said in swept if kept(asked)}
    return found


def latest_dataset(work: Iterable[Commit]) -> dict[str | None, Commit]:
    """By dataset the newest commit that says how many samples it has."""
    found: dict[str | None, Commit] = {}
    for commit in sorted(work, key=lambda one: one.order):
        if any(shard.table == "dataset" for shard in commit.shards):
            found[commit.dataset_id] = commit
    return found
