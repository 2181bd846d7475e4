"""Coverage: what of a dataset is done, and what is left to do.

Samples are taken in an order of their own (`warehouse.lake.sample_order`), in which those that were
removed leave their places empty. A *range* of it is what becomes visible together: its commit
says which cells it completed there. A way of answering counts as a cell, ("answer", 0, method).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from extract.reading import Wanted, known_readouts, of_samples
from extract.sharing.asking import Way, is_replied, method_of, way_of
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Commit
from warehouse.vocabulary import ANSWER, GENERATE, LIKELIHOOD, Cell

Done = np.ndarray[Any, np.dtype[np.bool_]]
"""Of samples in their order, [n], whether something holds."""

MOST_SAMPLES = 256
"""Samples of one range, which are those of one shard and one commit, at most."""

MOST_BYTES = 2**28
"""Of the vectors of one range."""

MANY_TOKENS = 1024
"""Image tokens of a sample, as far as the size of a range goes."""


@dataclass(frozen=True)
class ReplyBudget:
    """How many new tokens a reply may have; `asked` where a person named the number.

    What a smaller one cut is to be generated again. Replies from before budgets were stored are
    good enough unless a person asks: nobody knows which of them were cut. `least` is what the
    prompt of a way of asking needs.
    """

    tokens: int
    asked: bool = False
    least: Mapping[Way | None, int] = field(default_factory=dict)

    def of(self, way: Way | None) -> int:
        """The tokens of replies that are asked for in a way."""
        return max(self.tokens, self.least.get(way, 0))

    def lacks(self, covers: Mapping[str, Any], asked: str) -> list[int]:
        """The places of a range's commit whose replies are not what this budget gives."""
        said = replies_in(covers).get(asked)
        if said is None:
            return list(range(covers["start"], covers["stop"])) if self.asked else []
        return list(said["cut"]) if said["max_new_tokens"] < self.of(way_of(asked)) else []


def replies_in(covers: Mapping[str, Any]) -> dict[str, Any]:
    """Of the replies that a range's commit completed, by what was asked: how long they could be,
    and the places of those that were cut. Empty where that was not stored.
    """
    own = {GENERATE: covers["replies"]} if "replies" in covers else {}
    return {**own, **covers.get("swept_replies", {})}


def is_reply(cell: Cell) -> bool:
    return cell.module == ANSWER and is_replied(cell.readout)


def follows_a_reply(cell: Cell) -> bool:
    """Whether it is read behind the reply of the run's own way of asking."""
    readout = known_readouts().get(cell.readout) if cell.module != ANSWER else None
    return readout is not None and readout.facts.follows_a_reply


def _refuse_other_replies(
    commits: Iterable[Commit],
    held: Mapping[Cell, Done],
    anew: Done,
    behind: Done,
    budget: ReplyBudget,
) -> None:
    """Raise where replies would no longer be those that vectors of the lake were read behind.

    Each [n] tells of samples: which are replied to `anew`, and which because something is to be
    read `behind` the reply.
    """
    read = [here for cell, here in held.items() if follows_a_reply(cell)]
    if any(bool((here & anew).any()) for here in read):
        raise LayerhouseError(
            "the lake holds what was read behind replies that were cut, which longer ones would "
            "not fit; take that run out with `layerhouse runs remove`, then all is read anew"
        )
    for commit in commits:
        said = replies_in(commit.covers).get(GENERATE)
        if said is None or said["max_new_tokens"] <= budget.of(None):
            continue
        if behind[commit.covers["start"] : commit.covers["stop"]].any():
            raise UsageError(
                f"the replies in the lake could have {said['max_new_tokens']:,} tokens; what is "
                f"read behind them needs --max-new-tokens {said['max_new_tokens']}"
            )


def count_ends(commits: Iterable[Commit]) -> bool:
    """Whether likelihoods count the end of a reply: not where some of before they did are there,
    so that those of one model on one dataset are all of one kind.
    """
    found = (commit.covers for commit in commits)
    scored = (c for c in found if LIKELIHOOD in map(method_of, c.get("answers", ())))
    return all(covers.get("ends_counted", False) for covers in scored)


@dataclass(frozen=True)
class Range:
    """Samples start … stop-1 of the order, and what to compute for them.

    `again` tells that the lake holds replies of some of them, which the new ones replace.
    """

    start: int
    stop: int
    wanted: Wanted
    answers: tuple[str, ...]
    budget: ReplyBudget | None = None
    again: bool = False

    @property
    def n(self) -> int:
        return self.stop - self.start

    @property
    def places(self) -> range:
        """Where in the order its samples are."""
        return range(self.start, self.stop)

    @property
    def n_vectors(self) -> int:
        """Without those of tokens that are kept apart: nobody knows before how many there are."""
        return self.n * sum(len(readouts) for _, readouts in of_samples(self.wanted))

    def overlaps(self, run_id: str, commit: Commit) -> bool:
        """Whether a commit did, for the run `run_id`, some of these cells of these samples."""
        done = covered([commit], self.stop, run_id, self.budget)
        mine = cells_of(self.wanted, self.answers)
        return any(done[cell][self.start :].any() for cell in mine if cell in done)

    def covers(self, order: Sequence[str], rejected: Mapping[str, str]) -> dict[str, Any]:
        """The note on a commit that completes this range but for the samples of the order that
        could not be used, by name why."""
        cells = [[locus.module, locus.layer, list(names)] for locus, names in self.wanted]
        found: dict[str, Any] = {
            "start": self.start,
            "stop": self.stop,
            "cells": cells,
            "answers": list(self.answers),
        }
        if self.again:
            found["replaces"] = ["answer"]
        if places := [place for place in self.places if order[place] in rejected]:
            found["rejected"] = places
            found["reasons"] = [rejected[order[place]] for place in places]
        return found


def cells_of(wanted: Wanted, answers: Sequence[str]) -> list[Cell]:
    read = [Cell(locus.module, locus.layer, name) for locus, names in wanted for name in names]
    return [*read, *(Cell(ANSWER, 0, method) for method in answers)]


def _cells_in(covers: dict[str, Any]) -> list[Cell]:
    """The cells that a range's commit says it completed."""
    read = [Cell(m, layer, name) for m, layer, names in covers["cells"] for name in names]
    return [*read, *(Cell(ANSWER, 0, method) for method in covers["answers"])]


def covered(
    commits: Iterable[Commit],
    n: int,
    run_id: str | None = None,
    budget: ReplyBudget | None = None,
) -> dict[Cell, Done]:
    """For every cell, which of the first n samples of the order are done: [n].

    A sample that a run had to reject is done for that run, `run_id`; any other tries it again.
    Without a `budget` every reply will do.
    """
    done: dict[Cell, Done] = {}
    for commit in commits:
        if "cells" not in commit.covers:
            continue
        here = np.zeros(n, dtype=bool)
        here[commit.covers["start"] : commit.covers["stop"]] = True
        if commit.run_id != run_id:
            rejected = np.array(commit.covers.get("rejected", []), dtype=int)
            here[rejected[rejected < n]] = False
        for cell in _cells_in(commit.covers):
            places = here
            if is_reply(cell) and budget is not None:
                lacking = np.array(budget.lacks(commit.covers, cell.readout), dtype=int)
                places = here.copy()
                places[lacking[lacking < n]] = False
            done.setdefault(cell, np.zeros(n, dtype=bool))[places] = True
    return done


def rejected_in(
    commits: Iterable[Commit], run_id: str, order: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The samples of an order that a run could not use, each with why."""
    for commit in commits:
        if commit.run_id == run_id and "rejected" in commit.covers:
            places, reasons = commit.covers["rejected"], commit.covers["reasons"]
            yield from zip((order[place] for place in places), reasons, strict=True)


def plan(
    commits: Iterable[Commit],
    places: Sequence[int],
    wanted: Wanted,
    answers: Sequence[str],
    size: int = MOST_SAMPLES,
    run_id: str | None = None,
    budget: ReplyBudget | None = None,
) -> list[Range]:
    """What is left for the run to do at these rising places of the order: ranges of at most `size`
    samples that lack the same cells.

    What is read behind a reply is read while it is generated, so where it is lacking, the reply is.
    """
    cells, commits = cells_of(wanted, answers), list(commits)
    n = max(places, default=-1) + 1
    done, held = covered(commits, n, run_id, budget), covered(commits, n)
    nothing = np.zeros(n, dtype=bool)
    replied = {cell: here for cell, here in held.items() if is_reply(cell)}
    lacking = ~np.array([done.get(cell, nothing) for cell in cells]).reshape(len(cells), n)
    elsewhere = np.ones(n, dtype=bool)
    elsewhere[np.array(places, dtype=int)] = False
    lacking[:, elsewhere] = False
    own = Cell(ANSWER, 0, GENERATE)
    if own in cells:
        behind = [place for place, cell in enumerate(cells) if follows_a_reply(cell)]
        due = np.asarray(lacking[behind].any(axis=0))
        if budget is not None:
            _refuse_other_replies(commits, held, np.asarray(lacking[cells.index(own)]), due, budget)
        lacking[cells.index(own)] |= due
    return [
        Range(start, stop, *missing, budget, _again(missing[1], replied, slice(start, stop)))
        for start, stop, column in _stretches(lacking, size)
        if any(missing := _missing(column, wanted, answers))
    ]


def _again(
    answers: Sequence[str],
    replied: Mapping[Cell, Done],
    here: slice,
) -> bool:
    cells = [Cell(ANSWER, 0, asked) for asked in answers]
    return any(bool(replied[cell][here].any()) for cell in cells if cell in replied)


def _stretches(
    lacking: np.ndarray[Any, np.dtype[np.bool_]], size: int
) -> Iterator[tuple[int, int, np.ndarray[Any, np.dtype[np.bool_]]]]:
    """Stretches of the order that lack the same (start, stop, column), cut at multiples of `size`.

    lacking: (cells, samples).
    """
    some = np.flatnonzero(lacking.any(axis=0)).tolist()

    def alike(numbered: tuple[int, int]) -> tuple[int, int, bytes]:
        number, at = numbered
        return at - number, at // size, lacking[:, at].tobytes()  # the first: without a gap

    for _, group in groupby(enumerate(some), key=alike):
        places = [at for _, at in group]
        yield places[0], places[-1] + 1, lacking[:, places[0]]


def _missing(
    lacking: np.ndarray[Any, np.dtype[np.bool_]], wanted: Wanted, answers: Sequence[str]
) -> tuple[Wanted, tuple[str, ...]]:
    """What is wanted of the cells that are lacking, (cells,): readouts by locus, and answers."""
    cells = zip(cells_of(wanted, answers), lacking, strict=True)
    missing = {cell for cell, lacks in cells if lacks}
    read = [
        (locus, left)
        for locus, names in wanted
        if (left := tuple(n for n in names if (locus.module, locus.layer, n) in missing))
    ]
    return tuple(read), tuple(name for name in answers if (ANSWER, 0, name) in missing)


def range_size(wanted: Wanted) -> int:
    """Samples per range so that its vectors stay below MOST_BYTES: a power of two ≤ 256."""
    known = known_readouts()
    per_sample = sum(
        4 * locus.width * (known[name].facts.slots or MANY_TOKENS)
        for locus, names in wanted
        for name in names
    )
    size = MOST_SAMPLES
    while size > 16 and size * per_sample > MOST_BYTES:
        size //= 2
    return size
