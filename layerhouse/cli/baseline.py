from __future__ import annotations

import click

from layerhouse.cli.options import dataset_option, lake_option
from warehouse.lake import Lake


@click.command("baseline", short_help="Train a traditional image classifier on the same split.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option("--architecture", required=True, metavar="A", help="For instance texture-svm.")
@click.option("--seed", type=int, default=0, show_default=True)
@lake_option
def command(lake: Lake, dataset: str, architecture: str, seed: int) -> None:
    """Train a traditional image classifier: what the task allows without a language model.

    \b
    layerhouse baseline --dataset digits --architecture pixels-logistic
    layerhouse baseline --dataset digits --architecture texture-svm
    """
    from analysis.baselines import baseline
    from extract import datasets

    summary = baseline(lake, datasets.resolve(lake, dataset), architecture, seed=seed)
    if summary.added:
        click.echo(
            f"{architecture} on {summary.dataset_id}: test accuracy {summary.test_accuracy:.3f} "
            f"in {summary.seconds:.1f} s ({summary.run_id})"
        )
    else:
        click.echo(f"Nothing to do: {architecture} is in the lake already ({summary.run_id}).")
