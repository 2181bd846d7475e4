from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import (
    dataset_option,
    format_option,
    lake_option,
    model_option,
    named_option,
)
from layerhouse.functions import compare
from layerhouse.printing import document, interval, print_json, print_table
from warehouse.vocabulary import N_RESAMPLES

if TYPE_CHECKING:
    from analysis.comparison import Comparison


@click.command("compare", short_help="Two models side by side, with paired intervals.")
@model_option("A model in the lake.  [default: all that have a base]", required=False)
@named_option(
    "--base",
    metavar="B",
    help_text="The model to compare it with.  [default: its own base]",
    required=False,
)
@dataset_option("A dataset in the lake.  [default: all]", required=False)
@click.option("--resamples", type=int, default=N_RESAMPLES, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@format_option
@lake_option
def command(form: str, **options: Any) -> None:
    """Store how much two models differ on the same test samples, with paired 95% intervals.

    Without --base a model is compared with what it came from: the model before an adapter or a
    fault, or the general model that a medical one was made from.

    \b
    layerhouse compare
    layerhouse compare --model medgemma-4b --base gemma-3-4b --dataset busi
    """
    done, left_out = compare(**options)
    if form == "json":
        noted = [document(each) | {"note": each.note} for each in done]
        print_json({"comparisons": noted, "left_out": left_out})
        return
    for comparison in done:
        _show(comparison)
    for pair, reason in ((left.pair, left.reason) for left in left_out):
        click.echo(f"Left out: {pair.model_id} minus {pair.base_model_id}, because {reason}")


def _show(comparison: Comparison) -> None:
    """Print one line per number of both models."""
    pair = comparison.pair
    if not comparison.added:
        click.echo(f"Nothing to do: this comparison is in the lake already ({comparison.run_id}).")
    click.echo(f"{pair.model_id} minus {pair.base_model_id} on {pair.dataset_id}")
    rows = [
        [
            row.stage,
            row.quantity,
            f"{row.value:.3f}",
            f"{row.base_value:.3f}",
            interval(row.difference, row.lower, row.upper),
        ]
        for row in comparison.rows
    ]
    print_table(["stage", "quantity", "model", "base", "difference [95% interval]"], rows)
    for model, answer in zip((pair.model_id, pair.base_model_id), comparison.answers, strict=True):
        if answer is not None:
            click.echo(f"Answer of {model}: {answer}")
    if comparison.note is not None:
        click.echo(f"Note: {comparison.note}.")
