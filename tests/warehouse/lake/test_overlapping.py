"""Commits that did the same work are found, and those that did what others rejected are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from warehouse.lake.commits import Commit
from warehouse.lake.overlapping import done_twice

CELLS = [["vision", 0, ["mean"]]]


def _commit(
    run_id: str, n: int, start: int, stop: int, rejected: list[int] | None = None
) -> Commit:
    covers = {"start": start, "stop": stop, "cells": CELLS, "answers": []}
    covers |= {"rejected": rejected} if rejected is not None else {}
    when = f"2026-01-01T00:00:{n:02}"
    return Commit(run_id, n, "extract", "m", "d", when, covers, [], hash=f"{run_id}-{n}")


@pytest.mark.parametrize(
    ("start", "stop", "is_again"),
    [(3, 4, False), (7, 8, False), (3, 5, True), (2, 4, True), (10, 12, False), (0, 12, True)],
)
def test_what_another_run_rejected_is_no_work_done_twice(
    start: int, stop: int, is_again: bool
) -> None:
    early, late = _commit("a", 1, 0, 10, [3, 7]), _commit("b", 2, start, stop)
    expected = [(early, late)] if is_again else []
    assert list(dict.fromkeys((a.run_id, b.run_id) for a, b in done_twice([late, early]))) == [
        (a.run_id, b.run_id) for a, b in expected
    ]


@pytest.mark.parametrize(("donors", "is_again"), [(("x", "y"), False), (("x", "x"), True)])
def test_patches_from_two_donors_are_not_the_same_work(
    donors: tuple[str, str], is_again: bool
) -> None:
    commits = [_commit(f"run{n}", n, 0, 10) for n in range(2)]
    for commit, donor in zip(commits, donors, strict=True):
        commit.covers["donor"] = donor
    assert bool(done_twice(commits)) == is_again


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 8), st.sets(st.integers(0, 27), max_size=4)),
        max_size=6,
    )
)
def test_every_commit_that_shares_a_sample_with_another_is_named(
    spans: list[tuple[int, int, set[int]]],
) -> None:
    commits = [
        _commit(f"run{n}", n, start, start + length, sorted(rejected))
        for n, (start, length, rejected) in enumerate(spans)
    ]
    done = np.zeros((len(commits), 30), dtype=bool)
    for here, (start, length, rejected) in zip(done, spans, strict=True):
        here[start : start + length] = True
        here[sorted(rejected)] = False
    named = {one.run_id for pair in done_twice(commits) for one in pair}
    expected = {f"run{n}" for n, here in enumerate(done) if (here & (done.sum(axis=0) > 1)).any()}
    assert named == expected
