"""Long work shows a bar on a terminal and plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from layerhouse.printing import plain, raw
from warehouse.progress import Progress

LINE_EVERY_SECONDS = 10.0


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A callback that draws `title`'s progress on stderr until the block ends."""
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bar,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bar(*columns, console=Console(file=raw(sys.stderr)), transient=True) as bar:
        task = bar.add_task(plain(title), total=None, note="")

        def report(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=plain(note))

        yield report


def _lines(title: str) -> Progress:
    last = time.monotonic()

    def report(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY_SECONDS:
            last = now
            click.echo(f"{title}: {done:,} of {total:,}{' ' + note if note else ''}", err=True)

    return report
