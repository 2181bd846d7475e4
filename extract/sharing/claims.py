"""Claims: which ranges of a dataset an agent is working on, so that others take different ones.

A claim is a lock on bytes of one file, byte i standing for sample i of the order. The kernel drops
it when its process ends, however that ends, so that a dead agent's range is free at once; agents
whose shards hold different numbers of samples still see where they overlap.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from extract.sharing.coverage import Range
from warehouse.files import open_lock
from warehouse.lake import Lake

# Locks of the open file description where there are such: those of the process would let two
# agents of one process pass each other, and fall when any part of it closes the file.
_TRY = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
_WAIT = getattr(fcntl, "F_OFD_SETLKW", fcntl.F_SETLKW)
_FLOCK = "@hhqqi4x"
Lacking = Callable[[int, int], list[Range]]
"""Plans samples start … stop-1 of the order anew from the commits."""
_BEGINNING = 2**40
"""A byte beyond every sample: held by the agent that is about to begin a run."""


class Claims:
    """The claims of one agent at one kind of work on one (model, dataset); a context manager that
    ends them all."""

    def __init__(self, lake: Lake, model_id: str, dataset_id: str, work: str = "extract") -> None:
        self._file = open_lock(lake.lock_file(work, model_id, dataset_id))

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def take(self, start: int, stop: int, *, wait: bool = False) -> bool:
        """Claim samples start … stop-1 of the order; False where another agent holds some."""
        try:
            self._set(_WAIT if wait else _TRY, fcntl.F_WRLCK, start, stop)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def release(self, start: int, stop: int) -> None:
        # A length of zero would mean everything from here on.
        if stop > start:
            self._set(_TRY, fcntl.F_UNLCK, start, stop)

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """One agent at a time describes a run, so that two that disagree cannot both begin."""
        self.take(_BEGINNING, _BEGINNING + 1, wait=True)
        try:
            yield
        finally:
            self.release(_BEGINNING, _BEGINNING + 1)

    def rounds(self, ranges: Sequence[Range], lacking: Lacking) -> Iterator[Iterator[Range]]:
        """The ranges, or what is left of them, that this agent is to do; each is claimed.

        Whoever does a range releases its claim once it is committed. A round gives those that
        nobody else holds, and has to be taken whole before the next is asked for: that waits for
        another agent, so what is under way is to be finished before, or two would wait for each
        other. A later round gives what an agent left undone that died.
        """
        left = list(ranges)
        while left:
            free = self._free(left, lacking)
            for first in free:
                yield chain([first], free)
            if left:
                self.wait(left[0])

    def take_free(self, left: list[Range], lacking: Lacking) -> list[Range] | None:
        """Claim the first of these ranges that nobody else holds, and take it off the list.

        Returns what it still lacks, perhaps nothing, and holds claims on that alone. None says that
        others hold all of them.
        """
        for place, one in enumerate(left):
            if self.take(one.start, one.stop):
                del left[place]
                return self._still_lacking(one, lacking)
        return None

    def wait(self, other: Range) -> None:
        """Until nobody else holds any of a range."""
        self.take(other.start, other.stop, wait=True)
        self.release(other.start, other.stop)

    def _free(self, left: list[Range], lacking: Lacking) -> Iterator[Range]:
        while (parts := self.take_free(left, lacking)) is not None:
            yield from parts

    def _still_lacking(self, mine: Range, lacking: Lacking) -> list[Range]:
        """What a claimed range still lacks; the claim on the rest is given up."""
        at = mine.start
        fresh = lacking(mine.start, mine.stop)
        for part in fresh:
            self.release(at, part.start)
            at = part.stop
        self.release(at, mine.stop)
        return fresh

    def _set(self, how: int, kind: int, start: int, stop: int) -> None:
        lock = struct.pack(_FLOCK, kind, os.SEEK_SET, start, stop - start, 0)
        fcntl.fcntl(self._file, how, lock)
