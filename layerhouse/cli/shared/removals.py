"""What the commands that take something out of a lake have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerhouse.cli.shared.options import lake_option

if TYPE_CHECKING:
    from warehouse.lake import Removal, RemovedRun

Command = TypeVar("Command", bound=Callable[..., Any])


def removal_options(command: Command) -> Command:
    for option in (
        lake_option,
        click.option("--dry-run", is_flag=True, help="Say what would go and change nothing."),
        click.option(
            "--with-dependents", is_flag=True, help="Take out the runs that rest on it, too."
        ),
    ):
        command = option(command)
    return command


def show_removal(removal: Removal, *, dry_run: bool) -> None:
    """Print what goes, what rests on it and what stays."""
    what = f"the {removal.kind} {removal.name}"
    if not removal.runs:
        click.echo(f"Nothing to do: {what} was removed before ({removal.run_id}).")
        return
    _show_runs(removal)
    whole = [*removal.runs, *removal.dependents]
    if not dry_run:
        click.echo(f"Removed {what}: {_sizes(whole)} ({removal.run_id})")
        click.echo("The files stay until `layerhouse status --free` deletes them.")
    else:
        click.echo(f"Would remove {what}: {_sizes(removal.runs)}")
        if removal.dependents:
            rest = _sizes(removal.dependents)
            click.echo(f"Resting on it, to go only with --with-dependents: {rest}")
    for model in removal.variants:
        click.echo(f"Stays: {model}, a model of its own")


def _show_runs(removal: Removal) -> None:
    from layerhouse.printing import print_table

    parts = (("", removal.runs), ("rests on it", removal.dependents))
    print_table(
        ["run", "model", "dataset", "shards", "rows", "bytes", ""],
        (
            [
                one.facts.run_id,
                one.facts.model_id or "–",
                one.facts.dataset_id or "–",
                *(f"{count:,}" for count in (one.n_shards, one.n_rows, one.n_bytes)),
                why,
            ]
            for why, runs in parts
            for one in runs
        ),
    )


def _sizes(runs: Iterable[RemovedRun]) -> str:
    each = list(runs)
    shards, rows, size = (
        sum(getattr(one, name) for one in each) for name in ("n_shards", "n_rows", "n_bytes")
    )
    many = "runs" if len(each) > 1 else "run"
    return f"{len(each)} {many}, {shards:,} shards, {rows:,} rows, {size:,} bytes"
