"""Commits that did the same work, which no writer makes.

A record was lost, its work was done again, perhaps in other ranges or by another run, and the
record was put back.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

from warehouse.lake.commits import Commit, gist

Cells = frozenset[tuple[str, int, str, str | None]]
"""Module, layer, what was taken or done there and, of a patch, whose states were put, of steering
along which direction states were moved."""


def done_twice(commits: Iterable[Commit]) -> list[tuple[Commit, Commit]]:
    """Commits, oldest first, that did the same work, each with the one that did it again, as two
    records say."""
    latest: dict[Any, Commit] = {}
    found = []
    records = sorted(commits, key=lambda one: one.order)
    work = [one for record in records for one in record.work]
    alike = Counter((one.run_id, gist(one.covers)) for one in work)
    for commit in sorted(work, key=lambda one: one.n):
        keys: list[Any] = [commit.commit_id]
        if commit.covers and commit.shards and alike[commit.run_id, gist(commit.covers)] > 1:
            keys.append((commit.run_id, json.dumps(commit.covers, sort_keys=True)))
        for key in keys:
            if key in latest and latest[key].record != commit.record:
                found.append((latest[key], commit))
            latest[key] = commit
    return [*found, *_overlapping(work)]


def _overlapping(work: Iterable[Commit]) -> Iterator[tuple[Commit, Commit]]:
    """Pairs of commits, the earlier one first, that cover some of the same samples in some of the
    same cells of one model on one dataset, as two records say; of many that do, enough to name
    each."""
    held: dict[tuple[str | None, str | None], dict[Cells, list[Commit]]] = {}
    for commit in work:
        if cells := _cells(commit):
            about = held.setdefault((commit.model_id, commit.dataset_id), defaultdict(list))
            about[cells].append(commit)
    for about in held.values():
        for one, other in combinations_with_replacement(about, 2):
            if one is other:
                yield from _meeting([about[one]])
            elif one & other:
                yield from _meeting([about[one], about[other]])


def _cells(commit: Commit) -> Cells:
    if "stop" not in commit.covers:
        return frozenset()
    read = commit.covers.get("cells", ())
    whose = commit.covers.get("donor", commit.covers.get("direction"))
    return frozenset(
        (module, layer, name, whose) for module, layer, names in read for name in names
    )


def _meeting(sides: Sequence[Sequence[Commit]]) -> Iterator[tuple[Commit, Commit]]:
    """Pairs of the two sides, or of the one, that have samples in common."""
    stretches = [
        (start, stop, commit.order, side, commit)
        for side, commits in enumerate(sides)
        for commit in commits
        for start, stop in _stretches(commit.covers)
    ]
    furthest: dict[int, tuple[int, Commit]] = {}
    for start, stop, _, side, commit in sorted(stretches, key=lambda each: each[:3]):
        reach, before = furthest.get(len(sides) - 1 - side, (0, commit))
        if start < reach and before.record != commit.record:
            early, late = sorted((before, commit), key=lambda one: one.order)
            yield early, late
        if stop > furthest.get(side, (0, commit))[0]:
            furthest[side] = stop, commit


def _stretches(covers: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """The samples that a commit did, start … stop-1 each; rejected ones another run tries again."""
    start, stop = covers["start"], covers["stop"]
    for place in sorted({stop, *(at for at in covers.get("rejected", ()) if start <= at < stop)}):
        if start < place:
            yield start, place
        start = place + 1
