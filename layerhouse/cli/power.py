from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import dataset_option, format_option, lake_option, model_option
from layerhouse.functions import power
from layerhouse.printing import print_json

if TYPE_CHECKING:
    from analysis.diagnosis import Power


@click.command("power", short_help="What losses a dataset's test images can show.")
@dataset_option("A dataset in the lake.")
@model_option("A model that was probed on it, for its own stages.", required=False)
@format_option
@lake_option
def command(form: str, **options: Any) -> None:
    """Tell the smallest loss that a test set shows: in 80 of 100 samplings the 95% interval of such
    a loss lies above the margin.

    \b
    layerhouse power --dataset busi
    layerhouse power --dataset busi --model medgemma-4b
    layerhouse power --dataset busi --format json
    """
    found = power(**options)
    if form == "json":
        print_json(found)
        return
    _show_dataset(found)
    if found.model_id is not None:
        _show_stages(found)


def _show_dataset(found: Power) -> None:
    from layerhouse.printing import print_table

    click.echo(
        f"{found.dataset_id}: {found.n_samples:,} test images in {found.n_groups:,} groups tell as "
        f"much of {found.score} as {found.n_effective:,.0f} independent ones."
    )
    click.echo(
        f"The smallest loss that can be shown is {_points(found.least_detectable_loss)} where two "
        "stages differ in nothing but what is lost, and "
        f"{_points(found.likely_detectable_loss)} where in two of ten images beside."
    )
    rows = [
        [_points(size.loss), f"{size.least_images:,}", f"{size.likely_images:,}"]
        for size in found.sizes
    ]
    print_table(["a loss of", "shows on test images", "or, with two of ten beside"], rows)


def _show_stages(found: Power) -> None:
    from layerhouse.printing import print_table

    click.echo(f"Of {found.model_id}:")
    rows = [
        [
            stage.stage,
            _points(stage.loss),
            f"{stage.disagreement:.0%}",
            f"{stage.n_effective:,.0f}",
            _points(stage.detectable_loss),
            "-" if stage.n_to_settle is None else f"{stage.n_to_settle:,}",
        ]
        for stage in found.stages
    ]
    print_table(["stage", "loss", "differs", "independent", "shows from", "settled by"], rows)
    if any(stage.n_to_settle is None for stage in found.stages):
        click.echo(
            "-: no number of images settles it, because the loss is not above the margin (or in "
            "total above what a healthy model may lose), is within a tenth of a point of it, or "
            "because the images do not differ in it."
        )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
