"""What is left to do is what no commit covers: never less, never more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, strategies as st

from extract.anatomy.loci import Locus
from extract.sharing.coverage import Range, cells_of, covered, plan, range_size
from warehouse.lake.commits import Commit
from warehouse.lake.samples import sample_order

LOCI = [Locus("vision", 0, "block", "a", 0, 8), Locus("llm", 0, "block", "b", 1, 8)]
WANTED = [(LOCI[0], ("mean", "cls")), (LOCI[1], ("mean", "last"))]
ORDER = list(map(str, range(1000)))


def _commit(one: Range) -> Commit:
    return Commit("run", 0, "extract", "m", "d", "2026-01-01T00:00:00", one.covers(ORDER, {}), [])


def test_nothing_done_means_whole_ranges_of_everything() -> None:
    ranges = plan([], range(600), WANTED, ("likelihood",))
    assert [(one.start, one.stop) for one in ranges] == [(0, 256), (256, 512), (512, 600)]
    assert all(one.wanted == tuple(WANTED) for one in ranges)
    assert sum(one.n_vectors for one in ranges) == 600 * 4


def test_a_finished_plan_leaves_nothing() -> None:
    done = [_commit(one) for one in plan([], range(300), WANTED, ("generate",))]
    assert plan(done, range(300), WANTED, ("generate",)) == []


def test_a_wider_selection_computes_only_what_is_new() -> None:
    done = [_commit(one) for one in plan([], range(300), WANTED[:1], ("likelihood",))]
    ranges = plan(done, range(400), WANTED, ("likelihood", "generate"))
    assert [(t.start, t.stop, t.answers) for t in ranges] == [
        (0, 256, ("generate",)),
        (256, 300, ("generate",)),
        (300, 400, ("likelihood", "generate")),
    ]
    assert ranges[0].wanted == ((LOCI[1], ("mean", "last")),)
    assert ranges[2].wanted == tuple(WANTED)


@given(
    n=st.integers(1, 700),
    limits=st.lists(st.integers(1, 700), max_size=4),
    kept=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_any_interrupted_history_ends_with_every_cell_covered_once(
    n: int, limits: list[int], kept: list[bool]
) -> None:
    answers, done, kept_iter = ("likelihood",), [], iter(kept)
    counts = {cell: np.zeros(n, dtype=int) for cell in cells_of(WANTED, answers)}

    def work(limit: int, wanted: list[tuple[Locus, tuple[str, ...]]], everything: bool) -> None:
        for one in plan(done, range(limit), wanted, answers):
            if everything or next(kept_iter, True):
                done.append(_commit(one))
                for cell in cells_of(list(one.wanted), one.answers):
                    counts[cell][one.start : one.stop] += 1

    for index, limit in enumerate(limits):
        work(min(limit, n), WANTED[index % 2 :], everything=False)
    work(n, WANTED, everything=True)
    assert all((count == 1).all() for count in counts.values())
    assert all(done_cell.all() for done_cell in covered(done, n).values())


@given(rejected=st.sets(st.integers(0, 299)), reach=st.integers(1, 400))
def test_what_another_run_rejected_is_tried_again_and_nothing_between(
    rejected: set[int], reach: int
) -> None:
    done = []
    for one in plan([], range(300), WANTED, ("likelihood",), run_id="run"):
        places = [place for place in sorted(rejected) if one.start <= place < one.stop]
        done.append(replace(_commit(one), covers=one.covers(ORDER, {}) | {"rejected": places}))
    again = plan(done, range(reach), WANTED, ("likelihood",), run_id="other")
    counts = np.zeros(reach, dtype=int)
    for one in again:
        counts[one.start : one.stop] += 1
    expected = [int(place >= 300 or place in rejected) for place in range(reach)]
    assert counts.tolist() == expected
    later = plan(done, range(reach), WANTED, ("likelihood",), run_id="run")
    assert [(one.start, one.stop) for one in later] == [
        (max(start, 300), min(start + 256, reach)) for start in (256,) if reach > 300
    ]


def test_a_part_of_the_order_is_planned_as_the_whole_is() -> None:
    done = [_commit(one) for one in plan([], range(300), WANTED[:1], ("likelihood",))]
    whole = plan(done, range(600), WANTED, ("likelihood", "generate"))
    part = plan(done, range(256, 512), WANTED, ("likelihood", "generate"))
    assert part == [one for one in whole if one.start >= 256 and one.stop <= 512]
    assert [(one.start, one.stop) for one in part] == [(256, 300), (300, 512)]


def test_samples_are_taken_in_a_mixed_order_that_never_changes() -> None:
    names = [f"class{index // 50}/{index:03}" for index in range(200)]
    order = sample_order(names)
    assert sorted(order) == names
    assert order == sample_order(reversed(names))
    first = [name.partition("/")[0] for name in order[:40]]
    assert all(4 <= first.count(f"class{index}") <= 18 for index in range(4))


def test_ranges_shrink_for_wide_models() -> None:
    wide = [(Locus("llm", i, "block", "b", i, 4096), ("mean", "grid")) for i in range(32)]
    assert range_size(WANTED) == 256
    assert range_size(wide) == 64


def test_a_place_that_was_left_empty_is_in_no_range() -> None:
    places = [place for place in range(20) if place not in (0, 7, 19)]
    planned = plan([], places, WANTED, ("likelihood",))
    assert [(one.start, one.stop) for one in planned] == [(1, 7), (8, 19)]
    done = [_commit(one) for one in plan([], range(20), WANTED, ("likelihood",))]
    assert plan(done, places, WANTED, ("likelihood",)) == []
    assert plan([], [], WANTED, ("likelihood",)) == []
