"""What Ray runs on the machines of a cluster.

Nothing of ours is imported before it works: Ray holds on to an actor's class, and with it to all
that its module refers to, past the point of Python's end where DuckDB complains of being held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class RayWorker:
    """A `extract.engines.told_worker.RemoteWorker` as an actor."""

    def __init__(self, *arguments: Any) -> None:
        from extract.engines.told_worker import RemoteWorker

        self._worker = RemoteWorker(*arguments)

    def open(self) -> Iterator[Any]:
        yield from self._worker.open()

    def do(self, task: Any, total: int) -> Iterator[Any]:
        yield from self._worker.do(task, total)

    def flush(self) -> Iterator[Any]:
        yield from self._worker.flush()

    def end(self) -> Any:
        return self._worker.end()


def automatic_dtype() -> str:
    """What --dtype auto means on the GPU that Ray gave."""
    from extract.models.devices import choose_dtype

    return choose_dtype("auto", "cuda")
