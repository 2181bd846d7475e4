"""Who hears Ctrl-C, which a terminal sends to every process of a command."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any


@contextmanager
def deaf_to_the_keyboard() -> Iterator[None]:
    """What is started within never hears Ctrl-C: the one that started them ends them, and speaks
    for all. It itself hears it at the end, since Python drops what is raised while it forks."""
    heard: list[Any] = []
    hearing = signal.getsignal(signal.SIGINT)
    is_told = callable(hearing) and current_thread() is main_thread()
    if is_told:
        signal.signal(signal.SIGINT, lambda *told: heard.append(told))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if is_told:
            signal.signal(signal.SIGINT, hearing)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if callable(hearing) and heard:
        hearing(*heard[0])
