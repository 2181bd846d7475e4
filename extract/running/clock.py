"""The clock: seconds per kind of work, which a run keeps with what it wrote."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from time import perf_counter


class Stopwatch:
    """Seconds per kind of work, added up over threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._before: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def timing(self, work: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.add(work, perf_counter() - started)

    def add(self, work: str, seconds: float) -> None:
        with self._lock:
            self.seconds[work] += seconds

    def lap(self) -> dict[str, float]:
        """The seconds that were added since the last lap."""
        with self._lock:
            now = dict(self.seconds)
            since = {work: spent - self._before.get(work, 0.0) for work, spent in now.items()}
            self._before = now
        return {work: round(spent, 3) for work, spent in since.items()}


def added_up(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The seconds of several clocks, per kind of work."""
    total: dict[str, float] = defaultdict(float)
    for part in parts:
        for work, seconds in part.items():
            total[work] += seconds
    return dict(total)
