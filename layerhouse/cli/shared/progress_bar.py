"""Long work shows a bar on a terminal and plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from layerhouse.printing import plain, raw, width_of, width_on
from warehouse.progress import Progress

LINE_EVERY_SECONDS = 10.0
LEAST_BAR, MOST_BAR, WIDTH = 6, 16, 80
"""Cells of a bar, and of a terminal that does not say how many it has."""


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A callback that draws `title`'s progress on stderr until the block ends."""
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


class _Clock:
    """How long work still takes, at the pace that it has had since it came going."""

    def __init__(self) -> None:
        self._begun, self._before = time.monotonic(), 0

    def left(self, done: int, total: int) -> str:
        """A few words; none before anything is done, and once all is."""
        now = time.monotonic()
        if not done or done < self._before:  # it loads or checks something first
            self._begun = now
        self._before = done
        if not 0 < done < total:
            return ""
        seconds = (now - self._begun) / done * (total - done)
        if seconds < 100:
            return f"{seconds:.0f} s left"
        return f"{seconds / 60:.0f} min left" if seconds < 6000 else f"{seconds / 3600:.1f} h left"


def _told(title: str, done: int, total: int, left: str, note: str) -> list[str]:
    """What there is to say, the phase first: how far it is, how long it takes, and the rest."""
    phase, *rest = note.split(", ")
    far = f"{done:,} of {total:,}" if done else ""
    return [title if not phase else f"{title}: {phase}", *filter(None, (far, left, *rest))]


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, TextColumn

    stream, clock = raw(sys.stderr), _Clock()
    width = width_on(stream) or WIDTH
    columns = BarColumn(bar_width=_bar_in(width)), TextColumn("{task.description}", markup=False)
    console = Console(file=stream, width=width)
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_shown([plain(title)], width), total=None)

        def report(done: int, total: int, note: str = "") -> None:
            said = _told(title, done, total, clock.left(done, total), note)
            shown = _shown([plain(part) for part in said], width)
            bar.update(task, completed=done, total=total if done else None, description=shown)

        yield report


def _bar_in(width: int) -> int:
    """How long the bar is: the words beside it come first."""
    return min(max(LEAST_BAR, (width - 50) // 2), MOST_BAR)


def _shown(parts: list[str], width: int) -> str:
    """As many of the parts as stand beside the bar, the first in any case."""
    room = width - _bar_in(width) - 1
    while len(parts) > 1 and width_of(", ".join(parts)) > room:
        parts = parts[:-1]
    return ", ".join(parts)


def _lines(title: str) -> Progress:
    last, clock = time.monotonic(), _Clock()

    def report(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now, left = time.monotonic(), clock.left(done, total)
        if now - last >= LINE_EVERY_SECONDS:
            last = now
            click.echo(", ".join(_told(title, done, total, left, note)), err=True)

    return report
