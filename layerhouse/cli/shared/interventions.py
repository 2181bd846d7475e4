"""What the commands share that change a model's states: options, and what they say they did."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import click

from layerhouse.cli.shared.options import Command, format_option, lake_option
from layerhouse.cli.shared.running import (
    batch_size_option,
    device_option,
    dtype_option,
    max_pixels_option,
    skip_bad_option,
    system_option,
    trained_on_option,
)

if TYPE_CHECKING:
    from extract.patching import InterventionOutlook, InterventionSummary

_OPTIONS = (
    click.option("--prompt", multiple=True, metavar="NAME|FILE", help="How the question is put."),
    system_option,
    trained_on_option(
        "What the model saw in training, or a donor's model, as for extract; repeatable."
    ),
    device_option,
    dtype_option,
    click.option("--device-map", help="For models larger than one GPU, as for extract."),
    batch_size_option,
    max_pixels_option,
    skip_bad_option,
    click.option("--dry-run", is_flag=True, help="Print what would be done and what it takes."),
    format_option,
    lake_option,
)


def intervention_options(command: Command) -> Command:
    """How the models are asked and run, and where it is written."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def show_outlook(plan: InterventionOutlook, verb: str, what: str) -> None:
    """Would `verb` `what`: print what that takes."""
    if not plan.n_samples:
        click.echo(f"Nothing to do: {what} are in the lake already.")
        return
    click.echo(
        f"Would {verb} {what} on {plan.device} in {plan.dtype}: {plan.n_samples:,} samples, "
        f"{plan.n_passes:,} passes of one image, about {plan.seconds:,.0f} s (measured on "
        f"{plan.n_measured} images; nothing was written)"
    )
    for module, loci in plan.loci.items():
        click.echo(f"  {module}: {'; '.join(loci)}")
    for note in plan.notes:
        click.echo(note)


def show_summary(summary: InterventionSummary, did: str, what: str) -> None:
    """`did` `what`: print how much of it."""
    for note in summary.notes:
        click.echo(note)
    if not summary.added:
        click.echo(f"Nothing to do: {what} are in the lake already ({summary.run_id}).")
        return
    click.echo(
        f"{did} {what}: {summary.n_samples:,} samples, {summary.n_places} places, "
        f"{summary.n_passes:,} passes in {summary.seconds:,.1f} s ({summary.run_id})"
    )
    if summary.rejected:
        click.echo(f"{len(summary.rejected):,} samples were rejected")
