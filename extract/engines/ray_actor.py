"""What Ray runs on the machines of a cluster.

Nothing of ours is imported before it works: Ray holds on to an actor's class, and with it to all
that its module refers to, past the point of Python's end where DuckDB complains of being held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class RayWorker:
    """A `extract.engines.told_worker.ToldWorker` as an actor.

    The worker is made by `open`, which comes first: what an actor's constructor raises, Ray tells
    as the actor's death.
    """

    def open(self, *arguments: Any) -> Iterator[Any]:
        """Load the model; gives what it says of itself, once."""
        from extract.engines.told_worker import ToldWorker

        self._worker = ToldWorker(*arguments)
        yield self._worker.description

    def do(self, mine: Any, total: int) -> Iterator[Any]:
        yield from self._worker.do(mine, total)

    def flush(self) -> Iterator[Any]:
        yield from self._worker.flush()

    def end(self) -> Any:
        return self._worker.end()


def automatic_dtype() -> str:
    """What --dtype auto means on the GPU that Ray gave."""
    from extract.models import choose_dtype

    return choose_dtype("auto", "cuda")
