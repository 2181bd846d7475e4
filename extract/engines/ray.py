"""The same extraction by workers on a Ray cluster.

Here it is decided which worker does which range of samples; the workers hold the model
and commit what they find themselves. A range that is lost with its worker is done again, and since
a commit says what it covers, one that had been committed unseen is not doubled. The ranges given
out are claimed as by an agent of this machine, so that others may be at the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from extract.engines.ray_actor import automatic_dtype
from extract.engines.ray_cluster import Places, connected, find_places
from extract.engines.ray_team import Death, Seat, Team
from extract.engines.told_worker import Step
from extract.reading import Wanted
from extract.running import Description, added_up, done_before, pace
from extract.sharing import (
    Claims,
    ExtractRequest,
    ExtractSummary,
    Job,
    Ledger,
    Range,
    look_up,
    refuse_other_identity,
    structure_of,
    wanted_by,
)
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake
from warehouse.progress import Progress


def extract_with_ray(
    lake: Lake,
    request: ExtractRequest,
    workers: int | None = None,
    address: str | None = None,
    progress: Progress | None = None,
) -> ExtractSummary:
    """As `extract`, by workers on a Ray cluster: one per GPU, or `workers`.

    `address` is as `ray_cluster.connected` takes it. Every machine of the cluster must see
    the lake, the images and the model under the same names. Raises what the first failing worker
    raised; the others end with it, and what was committed stays.
    """
    if request.device_map is not None:
        raise UsageError(
            "--device-map spreads one model over the GPUs of a machine, where Ray gives a worker "
            "one; use --engine local"
        )
    with connected(address, workers):
        places = find_places(request, workers)
        job = _look_up(lake, request, places)
        done = done_before(job)
        if done is not None:
            return done
        with Claims(lake, job.model_id, job.dataset_id) as claims:
            return _conduct(job, places, claims, progress)


def _look_up(lake: Lake, request: ExtractRequest, places: Places) -> Job:
    """The job as the workers' device has it, which this machine may lack."""
    import ray

    dtype = request.dtype
    if places.device == "cuda" and dtype == "auto":
        choose: Any = ray.remote(automatic_dtype)
        dtype = ray.get(choose.options(num_gpus=1, num_cpus=1).remote())
    preparers = request.preparers
    if preparers is None and places.device == "cpu":
        preparers = 0  # the cores are shared out among the workers
    adapter = Path(request.adapter).resolve() if request.adapter is not None else None
    asked = replace(request, device="cpu", dtype=dtype, preparers=preparers, adapter=adapter)
    return replace(look_up(lake, asked), device=places.device)


def _conduct(job: Job, places: Places, claims: Claims, progress: Progress | None) -> ExtractSummary:
    with Team(job, places) as team:
        plan = _Plan.of(job, _first_description(team, progress))
        if not plan.lacking:
            refuse_other_identity(job)
            plan.ledger.close()
            return plan.ledger.summary(plan.wanted, added=False, notes=team.notes())
        handing = _HandingOut(plan, team, claims, progress)
        handing.run()
        accounts = team.accounts()
    plan.ledger.check_complete(plan.wanted)
    handing.writer.finish({"seconds": added_up(account.untold for account in accounts)})
    notes = dict.fromkeys(note for account in accounts for note in account.notes)
    return plan.ledger.summary(
        plan.wanted,
        added=True,
        seconds=added_up(account.seconds for account in accounts),
        notes=[*notes, *team.notes()],
        n_bytes=handing.n_bytes,
    )


def _first_description(team: Team, progress: Progress | None) -> Description:
    """What the first worker that has its model says of it."""
    while True:
        for _, said in team.hear():
            if isinstance(said, Description):
                return said
        if progress is not None:
            progress(0, len(team.job.sample_ids), "waiting for a worker of the Ray cluster")


@dataclass(frozen=True)
class _Plan:
    """What there is to do of a job, now that the model has said what it is."""

    ledger: Ledger
    description: Description
    wanted: Wanted
    lacking: Sequence[Range]

    @classmethod
    def of(cls, job: Job, description: Description) -> _Plan:
        ledger, wanted = Ledger(job), wanted_by(job, *structure_of(description.covers))
        return cls(ledger, description, wanted, ledger.lacking(wanted))

    @property
    def total(self) -> int:
        return sum(one.n for one in self.lacking)


class _HandingOut:
    """Gives a plan's ranges to the workers until all are committed.

    `left` are the ranges that nobody here is at, `claimed` those that are claimed already.
    """

    def __init__(self, plan: _Plan, team: Team, claims: Claims, progress: Progress | None) -> None:
        self.plan = plan
        self.team = team
        self.claims = claims
        self.progress = progress
        self.writer = team.job.writer()
        self.left = list(plan.lacking)
        self.claimed: list[Range] = []
        self.done = 0
        self.n_bytes = 0
        self.started = perf_counter()

    def run(self) -> None:
        self.plan.description.write(self.team.job, self.writer, self.claims)
        while not self._is_done():
            for seat in self.team.seats:
                if seat.stream is None:
                    self._occupy(seat)
            if self.left and all(seat.stream is None for seat in self.team.seats):
                self.claims.wait(self.left[0])
                continue
            for seat, said in self.team.hear():
                self._take_in(seat, said)
            self._report()

    def _is_done(self) -> bool:
        """Whether every range is committed; workers that have no model yet are not waited for."""
        held = [one for seat in self.team.seats for one in seat.holding]
        return not [*self.left, *self.claimed, *held]

    def _occupy(self, seat: Seat) -> None:
        """Give a free worker the next range; where there is none, have it commit what it holds."""
        mine = self._next()
        if mine is not None:
            seat.holding.append(mine)
            seat.ask("do", mine, self.plan.total)
        elif seat.holding:
            seat.ask("flush")

    def _next(self) -> Range | None:
        while not self.claimed:
            lacking = partial(self.plan.ledger.lacking, self.plan.wanted)
            found = self.claims.take_free(self.left, lacking)
            if found is None:
                return None
            self.claimed += found
        if self.writer.is_finished:
            self.writer.reopen()  # what it had committed was taken out of the lake since
        return self.claimed.pop(0)

    def _take_in(self, seat: Seat, said: Description | Step | Death) -> None:
        if isinstance(said, Step):
            self.done += said.n
            self.n_bytes += said.n_bytes
            for start, stop in said.committed:
                self.claims.release(start, stop)
            seat.holding = [r for r in seat.holding if (r.start, r.stop) not in said.committed]
        elif isinstance(said, Death):
            for one in said.lost:
                self.claims.release(one.start, one.stop)
            self.left = [*said.lost, *self.left]
        elif said != self.plan.description:
            raise LayerhouseError(
                f"two machines of the Ray cluster read {self.team.job.model_id} differently; "
                "give all of them the same versions of layerhouse and transformers"
            )

    def _report(self) -> None:
        if self.progress is not None:
            total = max(self.done, self.plan.total)
            note = pace(self.team.job, self.done, perf_counter() - self.started, self.n_bytes)
            self.progress(self.done, total, note)
