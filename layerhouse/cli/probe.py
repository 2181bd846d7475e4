from __future__ import annotations

from typing import Any

import click

from layerhouse.cli.shared import (
    Word,
    dataset_option,
    format_option,
    lake_option,
    model_option,
    progress,
)
from layerhouse.functions import fit_probes, measures
from layerhouse.printing import print_json
from warehouse.lake import Lake
from warehouse.vocabulary import DEFAULT_PROBE_KIND, PROBE_CONTROLS, PROBE_KINDS


@click.command("probe", short_help="Train probes on every stored locus.")
@model_option("A model in the lake.")
@dataset_option("A dataset in the lake.")
@click.option(
    "--kind",
    type=Word("probe kind", PROBE_KINDS, group="layerhouse.probes"),
    default=DEFAULT_PROBE_KIND,
    show_default=True,
    help="Logistic regression, the paper's two-layer network, or one query per class over image "
    "tokens that were kept (extract --readout tokens).",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Seeds of what has randomness: shuffles, mlp trainings, orders of train.  [default: 5]",
)
@click.option(
    "--control",
    type=Word("control", PROBE_CONTROLS),
    multiple=True,
    default=PROBE_CONTROLS,
    help="True labels, or shuffled ones as the floor; repeatable.  [default: both]",
)
@click.option(
    "--hidden", type=click.IntRange(min=1), help="Hidden width of the mlp.  [default: 256]"
)
@click.option("--coefficients", is_flag=True, help="Store linear probes as weights of raw vectors.")
@click.option("--code-length", is_flag=True, help="Measure the online code length of the labels.")
@click.option("--geometry", is_flag=True, help="Measure rank, dimension, separability and CKA.")
@click.option(
    "--border", is_flag=True, help="Measure what of the vision tower's states passes the connector."
)
@click.option(
    "--folds",
    type=click.IntRange(min=3),
    metavar="K",
    help="Also score every sample by k folds of whole groups; for small datasets.",
)
@click.option(
    "--target",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Also probe an attribute of the samples (a manifest's column, width, height, size); "
    "repeatable.",
)
@click.option(
    "--control-task",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Also probe a random class per value of an attribute that recurs across train and test "
    "(Hewitt & Liang 2019); repeatable.",
)
@format_option
@lake_option
def command(lake: Lake, model: str, dataset: str, form: str, **options: Any) -> None:
    """Train a probe on every (locus, readout) of a model and store its logits.

    \b
    layerhouse probe --model tiny-digits --dataset digits
    layerhouse probe --model tiny-digits --dataset digits --kind mlp --seeds 5
    layerhouse probe --model tiny-digits --dataset digits --kind attentive
    layerhouse probe --model tiny-digits --dataset digits --geometry --folds 5
    layerhouse probe --model tiny-digits --dataset chest --target view --control-task scanner
    """
    more = measures(lake, model, dataset, **options)
    with progress(f"probe {model}") as told:
        summary = fit_probes(model, dataset, lake=lake, progress=told, **options)
    for warning in summary.warnings:
        click.echo(f"Warning: {warning}", err=True)
    measured = {}
    for name, add in more.items():
        with progress(f"{name} {model}") as told:
            measured[name] = add(progress=told)
    if form == "json":
        print_json({"summary": summary, "measured_loci": measured})
        return
    if not summary.added:
        click.echo(f"Nothing to do: these probes are in the lake already ({summary.run_id}).")
    else:
        click.echo(
            f"Fitted {summary.n_probes} probes in {summary.seconds:.1f} s ({summary.run_id})"
        )
    for name, n_loci in measured.items():
        click.echo(f"Stored {name} of {n_loci} loci." if n_loci else f"The lake holds the {name}.")
