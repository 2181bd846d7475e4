"""The ledger: what of a job is done and what is left, as the commits of the lake say."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from extract.reading import Wanted, is_per_token, of_samples
from extract.sharing.asking import is_replied, method_of
from extract.sharing.coverage import (
    Range,
    cells_of,
    covered,
    plan,
    range_size,
    rejected_in,
    replies_in,
)
from extract.sharing.job import Job
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import GENERATE, GONE, LONGER_BUDGET, SEEN_IN_TRAINING


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction did; `added` is False where everything was in the lake already.

    `n_samples` and `n_vectors` count what the request covers; `seconds` is time per kind of work,
    added up over threads and processes; `rejected` says of samples that could not be used why;
    `n_bytes` are those of the shards written, `n_tokens` the image tokens in them, where these are
    kept; `notes` are worth showing.
    """

    run_id: str
    model_id: str
    dataset_id: str
    added: bool
    n_samples: int
    n_vectors: int
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    n_bytes: int = 0
    n_tokens: int = 0


COUNTED = ("activation", "token_activation", "answer")
"""The tables whose rows follow from what was covered."""


@dataclass(frozen=True)
class Ledger:
    """What the commits say of one job."""

    job: Job

    def lacking(self, wanted: Wanted, start: int = 0, stop: int | None = None) -> list[Range]:
        """What no commit covers of samples start … stop-1 of the order; by default of all."""
        job = self.job
        here = range(start, len(job.order) if stop is None else stop)
        first, last = (bisect_left(job.places, end) for end in (here.start, here.stop))
        # Of a long run very many are about other samples.
        commits = [commit for commit in job.commits() if _reaches(commit.covers, here)]
        size = range_size(wanted)
        return plan(
            commits,
            job.places[first:last],
            wanted,
            job.answers,
            size,
            job.spec.run_id,
            job.budget,
        )

    def close(self) -> None:
        """Finish a run that was cut off between its last range and its end."""
        writer = self.job.writer()
        if writer.committed:
            writer.finish()

    def rejected(self) -> dict[str, str]:
        """The samples of the request that this run could not use, and why."""
        found = rejected_in(self.job.commits(), self.job.spec.run_id, self.job.order)
        return {n: why for n, why in found if n != GONE and why != SEEN_IN_TRAINING}

    def cut(self, answers: Sequence[str]) -> tuple[int, int]:
        """How many of these answers rest on replies that were cut, and the largest budget that did
        that.
        """
        found = {asked: np.zeros(len(self.job.order), dtype=int) for asked in answers}
        for commit in self.job.commits():
            for asked, said in replies_in(commit.covers).items():
                if asked in found:
                    budgets = found[asked]
                    budgets[commit.covers["start"] : commit.covers["stop"]] = 0
                    cut = [place for place in said["cut"] if place < len(budgets)]
                    budgets[cut] = said["max_new_tokens"]
        n_cut = sum(int((budgets > 0).sum()) for budgets in found.values())
        return n_cut, max((int(budgets.max(initial=0)) for budgets in found.values()), default=0)

    def summary(
        self,
        wanted: Wanted,
        *,
        added: bool,
        seconds: dict[str, float] | None = None,
        notes: Sequence[str] = (),
        n_bytes: int = 0,
        n_tokens: int = 0,
    ) -> ExtractSummary:
        job, rejected = self.job, self.rejected()
        n = len(job.sample_ids) - len(rejected)
        return ExtractSummary(
            run_id=job.spec.run_id,
            model_id=job.model_id,
            dataset_id=job.dataset_id,
            added=added,
            n_samples=n,
            n_vectors=n * sum(len(readouts) for _, readouts in of_samples(wanted)),
            n_tokens=n_tokens,
            seconds=seconds or {},
            notes=(*job.notes, *notes, *self._about_cut_replies()),
            rejected=rejected,
            n_bytes=n_bytes,
        )

    def _about_cut_replies(self) -> list[str]:
        replied = list(filter(is_replied, self.job.answers))
        greedy = [asked for asked in replied if method_of(asked) == GENERATE]
        drawn = [asked for asked in replied if asked not in greedy]
        lines = []
        for answers, what in (
            (greedy, "replies were cut"),
            (drawn, "answers rest on draws of which some were cut"),
        ):
            n, budget = self.cut(answers)
            if n:
                lines.append(
                    f"{n:,} of {len(answers) * len(self.job.sample_ids):,} {what} after {budget:,} "
                    f"tokens: run again with --max-new-tokens {LONGER_BUDGET * budget} for whole "
                    "ones"
                )
        return lines

    def check_complete(self, wanted: Wanted) -> None:
        """Rows must equal samples × loci × readouts, and answers samples × methods."""
        self.job.writer().require_ground()
        job, commits = self.job, self.job.commits()
        n = len(job.order)
        done = covered(commits, n, job.spec.run_id, job.budget)
        for cell in cells_of(wanted, job.answers):
            if cell not in done or not done[cell][job.places].all():
                raise LayerhouseError(f"{'.'.join(map(str, cell))} is incomplete after the run")
        expected, found = 0, 0
        for commit in commits:
            if "cells" in commit.covers:
                expected += _rows_due(commit.covers)
                found += sum(s.rows for s in commit.shards if s.table in COUNTED)
        if expected != found:
            raise LayerhouseError(
                f"{job.model_id} on {job.dataset_id} has {found} rows in its shards "
                f"where {expected} are due"
            )


def _reaches(covers: Mapping[str, Any], samples: range) -> bool:
    """Whether a commit that covers this did some of these samples of the order."""
    return "cells" in covers and max(covers["start"], samples.start) < min(
        covers["stop"], samples.stop
    )


def _rows_due(covers: dict[str, Any]) -> int:
    """How many activations, tokens and answers a commit that covers this holds."""
    read = sum(not is_per_token(name) for _, _, names in covers["cells"] for name in names)
    span: int = covers["stop"] - covers["start"] - len(covers.get("rejected", []))
    return span * (read + len(covers["answers"])) + sum(covers.get("tokens", ()))
