"""Progress: how long work says how far it is, to whoever shows it."""

from typing import Protocol


class Progress(Protocol):
    """What long work calls as it goes: how far it is, of how much, and a few words."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...
