"""The crew: one process for each device trains its share of a repair; the parent only watches.

What one of them fails of ends all: without it the others cannot go on.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extract.mending.job import Mended, MendRequest, look_up_mend, train
from extract.mending.peers import meeting
from extract.mending.recipe import MendEpoch
from extract.mending.repair import Repair
from extract.sharing import begun, devices_of, end_with_parent
from warehouse.errors import LayerhouseError, said
from warehouse.extensions import raised_by_package
from warehouse.lake import Lake

EPOCH, DONE, ERROR, LEFT = "epoch", "done", "error", "left"
PATIENCE = 5.0
"""Seconds in which one that left another alone must have told why, or died."""


@dataclass(frozen=True)
class _Order:
    """What one process of a crew is told to do."""

    lake: Lake
    request: MendRequest
    repair: Repair
    partial: Path
    rank: int
    place: Path


@dataclass(frozen=True)
class _Member:
    device: str
    process: BaseProcess
    pipe: Connection

    def hear(self) -> tuple[str, Any]:
        """What it says next; that it failed if it died."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return ERROR, LayerhouseError(
                f"a process that mends on {self.device} died (exit code {self.process.exitcode}), "
                "mostly for want of memory; run the command again, with fewer --workers if need "
                "be: it goes on behind its last whole epoch"
            )
        return kind, value


def train_together(
    lake: Lake,
    request: MendRequest,
    repair: Repair,
    partial: Path,
    on_epoch: Callable[[MendEpoch], None],
) -> Mended:
    """Train a repair by the workers of a request; the first saves it in `partial`.

    The weights are those of one process, up to the order in which gradients are added. Raises what
    the first of them failed of.
    """
    devices = devices_of(request.extract.device, request.workers)
    with TemporaryDirectory() as folder:
        crew: list[_Member] = []
        try:
            for rank, device in enumerate(devices):
                own = replace(request, extract=replace(request.extract, device=device))
                order = _Order(lake, own, repair, partial, rank, Path(folder, "meeting"))
                crew.append(_Member(device, *begun(_work, order)))
            return _watched(crew, on_epoch)
        finally:
            for member in crew:
                member.process.kill()
                member.process.join()


def _watched(crew: list[_Member], on_epoch: Callable[[MendEpoch], None]) -> Mended:
    """What the first of them comes to; the others are done when it is."""
    busy = {member.pipe: member for member in crew}
    while True:
        for pipe in wait(list(busy)):
            member = next(each for each in crew if each.pipe is pipe)
            kind, value = member.hear()
            if kind == EPOCH:
                on_epoch(value)
            elif kind == DONE and value is not None:
                return value
            elif kind == DONE:
                del busy[member.pipe]
            elif kind == ERROR:
                raise value
            else:
                raise _cause([each for each in busy.values() if each is not member], value)


def _cause(others: list[_Member], error: LayerhouseError) -> LayerhouseError:
    """What made one of them fail, if it was left alone by another; else its own error."""
    for member in others:
        while member.pipe.poll(PATIENCE):
            kind, value = member.hear()
            if kind == ERROR:
                return value
            if kind in (DONE, LEFT):
                break
    return error


def _work(pipe: Connection, order: _Order) -> None:
    """The life of one process."""
    import torch

    end_with_parent()
    request, size = order.request, order.request.workers
    if request.extract.device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))

    def told(epoch: MendEpoch) -> None:
        if not order.rank:
            pipe.send((EPOCH, epoch))

    try:
        with meeting(order.rank, size, order.place) as peers:
            work = look_up_mend(order.lake, request, order.repair)
            done = train(work, request.recipe, order.partial, told, peers)
        pipe.send((DONE, None if order.rank else done))
    except LayerhouseError as error:
        pipe.send((ERROR, error))
    except Exception as error:
        text = f"a process that mends failed: {type(error).__name__}: {said(error)}"
        pipe.send((LEFT, raised_by_package(error) or LayerhouseError(text)))
