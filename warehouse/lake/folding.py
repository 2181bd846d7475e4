"""What many commits of one run say, told shortly: where it changes from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from warehouse.lake.covering import check_covers, check_together
from warehouse.untrusted import UnfitError, refuse

Changes = list[list[Any]]
"""[place of the commit, value], or [place] where the commit says nothing of it, from there on."""


def folded(covers: Sequence[Mapping[str, Any]]) -> dict[str, Changes]:
    """What commits cover, by name. The samples of ten thousand ranges differ, and the cells that
    all of them read do not."""
    return {
        name: list(_changes([[one[name]] if name in one else [] for one in covers]))
        for name in dict.fromkeys(name for one in covers for name in one)
    }


def _changes(said: Sequence[list[Any]]) -> Iterator[list[Any]]:
    before: list[Any] = []
    for place, now in enumerate(said):
        if now != before:
            yield [place, *now]
        before = now


def unfolded(told: Mapping[str, Changes], n: int) -> list[dict[str, Any]]:
    """What each of n commits covers; what is the same is shared among them."""
    found: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, changes in told.items():
        for (place, *value), (stop, *_) in pairwise([*changes, [n]]):
            for each in found[place:stop] if value else ():
                each[name] = value[0]
    return found


def check_folded(told: Mapping[str, Changes], n: int, where: str) -> None:
    """Raise UnfitError unless it can be unfolded, to what a writer may say."""
    for name, changes in told.items():
        places = [each[0] for each in changes if 1 <= len(each) <= 2 and type(each[0]) is int]
        rising = all(a < b for a, b in pairwise([-1, *places, n]))
        if len(places) != len(changes) or not rising:
            refuse(f"{where}.{name}", places[:3], "a rising list of places")
        for _, *value in changes if "fingerprint" not in told else ():
            if value:
                check_covers({name: value[0]}, where, together=False)
    for one in unfolded(told, n):
        if "fingerprint" in one or "fingerprint" in told:
            check_covers(one, where)
        else:
            check_together(one, where)


def in_runs(parts: Iterable[tuple[int, int]]) -> list[list[int]]:
    """(number of a commit, rows) as [first number, how many that follow each other, rows each]."""
    runs = groupby(enumerate(parts), key=lambda each: (each[1][0] - each[0], each[1][1]))
    found = []
    for (_, rows), group in runs:
        numbers = [n for _, (n, _) in group]
        found.append([numbers[0], len(numbers), rows])
    return found


def out_of_runs(runs: Iterable[Sequence[int]], most: int) -> Iterator[tuple[int, int]]:
    """(number of a commit, rows) of each; raises UnfitError where there are more than `most`."""
    for first, count, rows in runs:
        most -= count
        if most < 0:
            raise UnfitError("it tells of more commits than it joins")
        for n in range(first, first + count):
            yield n, rows
