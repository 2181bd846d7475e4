"""Processes that a command starts: who ends them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def deaf_to_the_keyboard() -> Iterator[None]:
    """What is started within never hears Ctrl-C, which a terminal sends to every process of a
    command: the one that started them ends them, and speaks for all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """From now on this process ends when the one that started it has: a killed parent cannot end
    its processes, and they would hold their devices on."""
    Thread(target=_end_behind_parent, daemon=True).start()


def _end_behind_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
