"""The workers on a Ray cluster: hired, heard, and replaced where they die."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from extract.engines.ray_actor import RayWorker
from extract.engines.ray_cluster import Places
from extract.engines.told_worker import Step, Worked
from extract.running import Description
from extract.sharing import Job, Range
from warehouse.errors import LayerhouseError
from warehouse.lake import list_commits

MAX_DEATHS = 3
"""So many deaths of one worker in a row, without a batch done in between, end the extraction."""
LOOK_SECONDS = 1.0
"""How long to wait for word from the workers before looking for ranges that others gave up."""


@dataclass
class Seat:
    """A worker in its place: what it says of its task, and its ranges that are not committed.

    `stream` is None where it has no task; `deaths` are those in this place, in a row.
    """

    worker: Any
    stream: Any
    deaths: int = 0
    is_open: bool = False
    holding: list[Range] = field(default_factory=list)

    def ask(self, method: str, *arguments: Any) -> None:
        call = getattr(self.worker, method)
        self.stream = call.options(num_returns="streaming").remote(*arguments)


@dataclass(frozen=True)
class Death:
    """A worker died: others, or its successor, do again what it had not committed."""

    lost: Sequence[Range]


class Team:
    """The workers, one in each place from the start; one that dies is replaced."""

    def __init__(self, job: Job, places: Places) -> None:
        self.job = job
        self.places = places
        self.n_deaths = 0
        self.seats = [self._hire() for _ in range(places.workers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        for seat in self.seats:
            ray.kill(seat.worker)

    def hear(self) -> Iterator[tuple[Seat, Description | Step | Death]]:
        """What a worker that has a task says of it, if one does soon: what its model is, once.

        Raises what a worker raised, and LayerhouseError where one dies again and again.
        """
        import ray

        streams = [seat.stream for seat in self.seats if seat.stream is not None]
        ready, _ = ray.wait(streams, num_returns=1, timeout=LOOK_SECONDS)
        for seat in [seat for seat in self.seats if seat.stream in ready]:
            try:
                said = ray.get(next(seat.stream))
            except StopIteration:
                seat.stream = None
            except ray.exceptions.RayTaskError as error:
                raise _plain(error) from error
            except ray.exceptions.RayError as error:
                yield self._replaced(seat, error), Death(seat.holding)
            else:
                seat.deaths = 0
                seat.is_open = True
                yield seat, said

    def notes(self) -> list[str]:
        if not self.n_deaths:
            return []
        return [f"deaths of workers: {self.n_deaths}; their ranges were done again"]

    def accounts(self) -> list[Worked]:
        """What the workers tell at their end; one that dies then has done its work all the same."""
        import ray

        found = []
        for seat in self.seats:
            with suppress(ray.exceptions.RayError):
                if seat.is_open:
                    found.append(ray.get(seat.worker.end.remote()))
        return found

    def _hire(self, deaths: int = 0) -> Seat:
        import ray

        hire: Any = ray.remote(RayWorker)
        seen = list_commits(self.job.lake)[-1].commit_id
        seat = Seat(hire.options(**self.places.options).remote(), stream=None, deaths=deaths)
        seat.ask("open", self.job, self.places.cpus, seen)
        return seat

    def _replaced(self, seat: Seat, error: Exception) -> Seat:
        self.n_deaths += 1
        deaths = seat.deaths + 1
        if deaths >= MAX_DEATHS:
            said = " ".join(str(error).split())
            raise LayerhouseError(
                f"a worker on the Ray cluster died {deaths} times in a row; "
                f"is there memory for that many --workers? Ray says: {said}"
            ) from error
        successor = self._hire(deaths)
        self.seats[self.seats.index(seat)] = successor
        return successor


def _plain(error: Any) -> LayerhouseError:
    """What a worker raised, as it raised it."""
    cause = error.cause
    if isinstance(cause, LayerhouseError):
        return cause
    said = str(cause).split("\n")[0]
    return LayerhouseError(f"a worker failed: {type(cause).__name__}: {said}")
