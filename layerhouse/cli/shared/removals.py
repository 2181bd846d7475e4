"""What the commands that take something out of a lake have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerhouse.cli.shared.options import format_option, lake_option
from warehouse.errors import few

if TYPE_CHECKING:
    from warehouse.lake import Removal, RemovedRun, SampleRemoval

MOST_SHOWN = 5
"""Samples that are named where many are removed."""

Command = TypeVar("Command", bound=Callable[..., Any])


def removal_options(command: Command) -> Command:
    for option in (
        lake_option,
        format_option,
        click.option("--dry-run", is_flag=True, help="Say what would go and change nothing."),
        click.option(
            "--with-dependents", is_flag=True, help="Take out the runs that rest on it, too."
        ),
    ):
        command = option(command)
    return command


def show_removal(removal: Removal | SampleRemoval, form: str, options: Mapping[str, Any]) -> None:
    """Print what goes, what rests on it, what stays, and what to run again.

    `options` are those of `removal_options`, as they were given.
    """
    from warehouse.lake import SampleRemoval

    if form == "json":
        from layerhouse.printing import print_json

        print_json(removal)
        return
    dry_run = options["dry_run"]
    when = "to go too" if options["with_dependents"] else "to go only with --with-dependents"
    if isinstance(removal, SampleRemoval):
        _show_samples(removal, dry_run=dry_run, when=when)
        return
    what = f"the {removal.kind} {removal.name}"
    if not removal.runs:
        click.echo(f"Nothing to do: {what} was removed before ({removal.run_id}).")
        return
    _show_runs((("", removal.runs), ("rests on it", removal.dependents)))
    whole = [*removal.runs, *removal.dependents]
    if not dry_run:
        click.echo(f"Removed {what}: {_sizes(whole)} ({removal.run_id})")
        click.echo("The files stay until `layerhouse status --free` deletes them.")
    else:
        click.echo(f"Would remove {what}: {_sizes(removal.runs)}")
        if removal.dependents:
            rest = _sizes(removal.dependents)
            click.echo(f"Resting on it, {when}: {rest}")
    for model in removal.variants:
        click.echo(f"Stays: {model}, a model of its own")


def _show_samples(removal: SampleRemoval, *, dry_run: bool, when: str) -> None:
    from warehouse.status import again

    rewritten = sum(one.joined is not None for one in removal.rewritten)
    if not removal.samples:
        before = f"were removed from {removal.dataset_id} before ({removal.run_id})"
        click.echo(f"Nothing to do: they {before}.")
    else:
        n = len(removal.samples)
        shown = few(removal.samples, MOST_SHOWN)
        verb = "Would remove" if dry_run else "Removed"
        of = f" ({removal.run_id})" if removal.run_id else ""
        click.echo(f"{verb} {n:,} samples of {removal.dataset_id}{of}: {shown}")
    if removal.dependents:
        _show_runs((("made over all samples", removal.dependents),))
        said = when.capitalize() if dry_run else "They went too"
        click.echo(f"{said}: {_sizes(removal.dependents)}")
        for line in dict.fromkeys(again(row) for row in removal.rows):
            click.echo(f"To be run again: {line}")
    if not dry_run:
        click.echo(
            f"{rewritten:,} commits were written anew without them. What they held stays in files "
            "until `layerhouse status --free` deletes these; then `layerhouse validate` shows that "
            "nothing is left. Publish and report again what was published."
        )


def _show_runs(parts: Iterable[tuple[str, Iterable[RemovedRun]]]) -> None:
    from layerhouse.printing import print_table

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
