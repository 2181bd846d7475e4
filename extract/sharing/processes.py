"""Processes that a command starts: on which devices, and who ends them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from extract.models import choose_device
from warehouse.keyboard import deaf_to_the_keyboard


def devices_of(asked: str, workers: int) -> list[str]:
    """The device of each process: every GPU in turn, or the one device that was asked for."""
    import torch

    chosen = choose_device(asked)
    if chosen != "cuda":
        return [chosen] * workers
    return [f"cuda:{rank % torch.cuda.device_count()}" for rank in range(workers)]


def begun(work: Callable[..., None], *given: Any) -> tuple[BaseProcess, Connection]:
    """A process that was started at its work, which gets a pipe and what else is given; beside it
    the other end of the pipe."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, *given), daemon=True)
    with deaf_to_the_keyboard():
        process.start()
    theirs.close()
    return process, pipe


def end_with_parent() -> None:
    """From now on this process ends when the one that started it has: a killed parent cannot end
    its processes, and they would hold their devices on."""
    Thread(target=_end_behind_parent, daemon=True).start()


def _end_behind_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
