"""The same extraction by workers on a Ray cluster.

Here it is decided which worker does which range of samples; the workers hold the model
and commit what they find themselves. A range that is lost with its worker is done again, and since
a commit says what it covers, one that had been committed unseen is not doubled. The ranges given
out are claimed as by an agent of this machine, so that others may be at the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from extract.engines.ray_actor import RayWorker, automatic_dtype
from extract.engines.ray_cluster import Places, connected, find_places
from extract.engines.told_worker import Step, Worked
from extract.reading import Wanted
from extract.running import Description, done_before, pace
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
from warehouse.lake import Lake, commit_names
from warehouse.progress import Progress

MAX_DEATHS = 3
"""So many deaths of one worker in a row, without a batch done in between, end the extraction."""
LOOK_SECONDS = 1.0
"""How long to wait for word from the workers before looking for ranges that others gave up."""


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
            return _Conductor(job, places, claims, progress).run()


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


@dataclass
class _Seat:
    """A worker's place: who sits there, what it is at, and its ranges that are not committed."""

    worker: Any = None
    stream: Any = None
    is_open: bool = False
    holding: list[Range] = field(default_factory=list)
    deaths: int = 0

    def ask(self, method: str, *arguments: Any) -> None:
        call = getattr(self.worker, method)
        self.stream = call.options(num_returns="streaming").remote(*arguments)

    def dismiss(self) -> None:
        import ray

        if self.worker is not None:
            ray.kill(self.worker)
        self.worker = self.stream = None


class _Conductor:
    """Gives ranges to workers, hears from them, and replaces those that die."""

    def __init__(self, job: Job, places: Places, claims: Claims, progress: Progress | None) -> None:
        self.job = job
        self.places = places
        self.claims = claims
        self.progress = progress
        self.ledger = Ledger(job)
        self.writer = job.writer()
        self.seats = [_Seat() for _ in range(places.workers)]
        self.description: Description | None = None
        self.wanted: Wanted = []
        self.left: list[Range] = []
        """What nobody here is at; `claimed` are those that are claimed already."""
        self.claimed: list[Range] = []
        self.total = 0
        self.done = 0
        self.n_bytes = 0
        self.n_deaths = 0
        self.started = perf_counter()

    def run(self) -> ExtractSummary:
        try:
            for seat in self.seats:
                self._fill(seat)
            self._watch()
            accounts = self._accounts() if self.total else []
        finally:
            for seat in self.seats:
                seat.dismiss()
        notes = list(dict.fromkeys(note for account in accounts for note in account.notes))
        if self.n_deaths:
            notes.append(f"deaths of workers: {self.n_deaths}; their ranges were done again")
        if not self.total:
            refuse_other_identity(self.job)
            self.ledger.close()
            return self.ledger.summary(self.wanted, added=False, notes=notes)
        self.ledger.check_complete(self.wanted)
        self.writer.finish({"seconds": _sum([account.untold for account in accounts])})
        return self.ledger.summary(
            self.wanted,
            added=True,
            seconds=_sum([account.seconds for account in accounts]),
            notes=notes,
            n_bytes=self.n_bytes,
        )

    def _fill(self, seat: _Seat) -> None:
        import ray

        hire: Any = ray.remote(RayWorker)
        seen = commit_names(self.job.lake)[-1]
        seat.worker = hire.options(**self.places.options).remote()
        seat.is_open = False
        seat.ask("open", self.job, self.places.cpus, seen)

    def _watch(self) -> None:
        import ray

        while not self._is_done():
            for seat in self.seats:
                if seat.stream is None:
                    self._occupy(seat)
            streams = [seat.stream for seat in self.seats if seat.stream is not None]
            if not streams and self.left:
                self.claims.wait(self.left[0])
                continue
            ready, _ = ray.wait(streams, num_returns=1, timeout=LOOK_SECONDS)
            for seat in self.seats:
                if seat.stream in ready:
                    self._hear(seat)
            self._report()

    def _is_done(self) -> bool:
        """Whether every range is committed; workers that have no model yet are not waited for."""
        held = [one for seat in self.seats for one in seat.holding]
        return self.description is not None and not [*self.left, *self.claimed, *held]

    def _occupy(self, seat: _Seat) -> None:
        """Give a free worker the next range; where there is none, have it commit what it holds."""
        mine = self._next()
        if mine is not None:
            seat.holding.append(mine)
            seat.ask("do", mine, self.total)
        elif seat.holding:
            seat.ask("flush")

    def _next(self) -> Range | None:
        while not self.claimed:
            found = self.claims.take_free(self.left, partial(self.ledger.lacking, self.wanted))
            if found is None:
                return None
            self.claimed += found
        if self.writer.is_finished:
            self.writer.reopen()  # what it had committed was taken out of the lake since
        return self.claimed.pop(0)

    def _hear(self, seat: _Seat) -> None:
        import ray

        try:
            said = ray.get(next(seat.stream))
        except StopIteration:
            seat.stream = None
        except ray.exceptions.RayTaskError as error:
            raise _plain(error) from error
        except ray.exceptions.RayError as error:
            self._replace(seat, error)
        else:
            seat.deaths = 0
            if isinstance(said, Step):
                self._account(seat, said)
            else:
                self._begin(seat, said)

    def _begin(self, seat: _Seat, description: Description) -> None:
        """A worker has its model; the first one says what there is to do."""
        seat.is_open = True
        if self.description is not None:
            if description != self.description:
                raise LayerhouseError(
                    f"two machines of the Ray cluster read {self.job.model_id} differently; "
                    "give all of them the same versions of layerhouse and transformers"
                )
            return
        self.description = description
        self.wanted = wanted_by(self.job, *structure_of(description.covers))
        self.left = self.ledger.lacking(self.wanted)
        self.total = sum(one.n for one in self.left)
        if self.left:
            description.write(self.job, self.writer, self.claims)
        self.started = perf_counter()

    def _account(self, seat: _Seat, step: Step) -> None:
        self.done += step.n
        self.n_bytes += step.n_bytes
        for start, stop in step.committed:
            self.claims.release(start, stop)
        seat.holding = [r for r in seat.holding if (r.start, r.stop) not in step.committed]

    def _replace(self, seat: _Seat, error: Exception) -> None:
        """A worker died: others, or its successor, do again what it had not committed."""
        self.n_deaths += 1
        seat.deaths += 1
        if seat.deaths >= MAX_DEATHS:
            said = " ".join(str(error).split())
            raise LayerhouseError(
                f"a worker on the Ray cluster died {seat.deaths} times in a row; "
                f"is there memory for that many --workers? Ray says: {said}"
            ) from error
        for one in seat.holding:
            self.claims.release(one.start, one.stop)
        self.left = [*seat.holding, *self.left]
        seat.holding = []
        self._fill(seat)

    def _report(self) -> None:
        if self.progress is None:
            return
        if self.description is None:
            self.progress(0, len(self.job.order), "waiting for a worker of the Ray cluster")
            return
        total = max(self.done, self.total)
        note = pace(self.done, total, perf_counter() - self.started, self.n_bytes)
        self.progress(self.done, total, note)

    def _accounts(self) -> list[Worked]:
        """What the workers tell at their end; one that dies then has done its work all the same."""
        import ray

        found = []
        for seat in self.seats:
            with suppress(ray.exceptions.RayError):
                if seat.is_open:
                    found.append(ray.get(seat.worker.end.remote()))
        return found


def _plain(error: Any) -> LayerhouseError:
    """What a worker raised, as it raised it."""
    cause = error.cause
    if isinstance(cause, LayerhouseError):
        return cause
    said = str(cause).split("\n")[0]
    return LayerhouseError(f"a worker failed: {type(cause).__name__}: {said}")


def _sum(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for work, seconds in part.items():
            total[work] = total.get(work, 0.0) + seconds
    return total
