from __future__ import annotations

import click

from layerhouse.cli.options import (
    dataset_id,
    dataset_option,
    lake_option,
    model_option,
)
from layerhouse.cli.progress import progress
from warehouse.lake import Lake


@click.command("probe", short_help="Train probes on every stored locus.")
@model_option("A model in the lake.")
@dataset_option("A dataset in the lake.")
@click.option(
    "--kind",
    type=click.Choice(("linear", "mlp")),
    default="linear",
    show_default=True,
    help="Logistic regression, or the paper's two-layer network.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Seeds of what has randomness.  [default: 1 shuffle for linear, 5 seeds for mlp]",
)
@click.option(
    "--control",
    "controls",
    type=click.Choice(("none", "shuffled_labels")),
    multiple=True,
    default=("none", "shuffled_labels"),
    help="True labels, or shuffled ones as the floor; repeatable.  [default: both]",
)
@lake_option
def command(
    lake: Lake, model: str, dataset: str, kind: str, seeds: int | None, controls: tuple[str, ...]
) -> None:
    """Train a probe on every (locus, readout) of a model and store its logits.

    \b
    layerhouse probe --model tiny-digits --dataset digits
    layerhouse probe --model tiny-digits --dataset digits --kind mlp --seeds 5
    """
    from analysis.probes import probe

    with progress(f"probe {model}") as report:
        summary = probe(
            lake,
            model,
            dataset_id(dataset),
            kind=kind,
            seeds=seeds,
            controls=controls,
            progress=report,
        )
    for warning in summary.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if not summary.added:
        click.echo(f"Nothing to do: these probes are in the lake already ({summary.run_id}).")
    else:
        click.echo(
            f"Fitted {summary.n_probes} probes in {summary.seconds:.1f} s ({summary.run_id})"
        )
