"""Progress: how long work says how far it is, to whoever shows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """What long work calls as it goes: how far it is, of how much, and a few words."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


_listener: ContextVar[Progress | None] = ContextVar("listener", default=None)


@contextmanager
def listening(progress: Progress | None) -> Iterator[None]:
    """Let `progress` hear what is done deep inside, where nobody hands it down to."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(done: int, total: int, note: str) -> None:
    """Say how far work is, if anyone listens."""
    if (progress := _listener.get()) is not None:
        progress(done, total, note)
