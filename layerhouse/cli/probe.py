from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from layerhouse.cli.shared.options import (
    dataset_id,
    dataset_option,
    lake_option,
    model_option,
)
from layerhouse.cli.shared.progress import progress
from warehouse.lake.lake import Lake


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
    help="Seeds of what has randomness: shuffles, mlp trainings, orders of train.  [default: 5]",
)
@click.option(
    "--control",
    "controls",
    type=click.Choice(("none", "shuffled_labels")),
    multiple=True,
    default=("none", "shuffled_labels"),
    help="True labels, or shuffled ones as the floor; repeatable.  [default: both]",
)
@click.option(
    "--hidden", type=click.IntRange(min=1), help="Hidden width of the mlp.  [default: 256]"
)
@click.option("--coefficients", is_flag=True, help="Store linear probes as weights of raw vectors.")
@click.option("--code-length", is_flag=True, help="Measure the online code length of the labels.")
@click.option("--geometry", is_flag=True, help="Measure rank, dimension, separability and CKA.")
@click.option(
    "--folds",
    type=click.IntRange(min=3),
    metavar="K",
    help="Also score every sample by k folds of whole groups; for small datasets.",
)
@lake_option
def command(
    lake: Lake,
    model: str,
    dataset: str,
    kind: str,
    seeds: int | None,
    controls: tuple[str, ...],
    hidden: int | None,
    **measures: Any,
) -> None:
    """Train a probe on every (locus, readout) of a model and store its logits.

    \b
    layerhouse probe --model tiny-digits --dataset digits
    layerhouse probe --model tiny-digits --dataset digits --kind mlp --seeds 5
    layerhouse probe --model tiny-digits --dataset digits --geometry --folds 5
    """
    from analysis.probes import default_options, probe

    if hidden and kind != "mlp":
        raise click.UsageError("only the mlp has a hidden width; add --kind mlp")
    if measures["coefficients"] and kind != "linear":
        raise click.UsageError("only linear probes have coefficients; leave --kind at linear")
    with progress(f"probe {model}") as report:
        summary = probe(
            lake,
            model,
            dataset_id(dataset),
            kind=kind,
            seeds=seeds,
            controls=controls,
            options=default_options(kind, hidden=hidden) if hidden else None,
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
    _measure(lake, model, dataset_id(dataset), seeds, measures)


def _measure(
    lake: Lake, model: str, dataset: str, seeds: int | None, asked: Mapping[str, Any]
) -> None:
    """What was asked for beyond the probes themselves."""
    from analysis import measures

    work: dict[str, Callable[..., int]] = {}
    if asked["coefficients"]:
        work["coefficients"] = measures.add_coefficients
    if asked["code_length"]:
        work["code length"] = partial(measures.add_code_lengths, seeds=seeds or 5)
    if asked["geometry"]:
        work["geometry"] = measures.add_geometry
    if asked["folds"]:
        work[f"{asked['folds']} folds"] = partial(measures.add_folds, n_folds=asked["folds"])
    for name, add in work.items():
        with progress(f"{name} {model}") as report:
            n_loci = add(lake, model, dataset, progress=report)
        click.echo(f"Stored {name} of {n_loci} loci." if n_loci else f"The lake holds the {name}.")
