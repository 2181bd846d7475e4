from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.projection import METHODS
from analysis.report import FIGURE_WIDTHS
from layerhouse.cli.shared import Word, dataset_option, lake_option, model_option
from layerhouse.functions import project


@click.command("project", short_help="Draw the samples of one place on a plane.")
@model_option("A model of the lake.")
@dataset_option("A dataset of the lake.")
@click.option("--at", required=True, metavar="PLACE", help="MODULE.LAYER/READOUT: llm.3/mean.")
@click.option(
    "--method",
    type=Word("method", METHODS),
    default=METHODS[0],
    show_default=True,
    help="Principal components, or t-SNE, in which distances between clusters mean nothing.",
)
@click.option(
    "--colour",
    default="class",
    show_default=True,
    metavar="NAME",
    help="By class, by answer, or by an attribute of the images.",
)
@click.option(
    "--width",
    type=Word("width", FIGURE_WIDTHS),
    default=FIGURE_WIDTHS[0],
    show_default=True,
    help="A paper's column, 3.5 in, or its two, 7.2 in.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Ends in .pdf, .svg or .png. Without it only what the plane is worth is said.",
)
@lake_option
def command(**options: Any) -> None:
    """Lay the vectors of one place out on a plane, coloured by what the samples are.

    A picture to look at, from which nothing is diagnosed. The same lake gives the same picture; of
    more than 5,000 samples so many are drawn at random, which is said.

    \b
    layerhouse project --model tiny-digits --dataset digits --at llm.4/last --out llm.pdf
    layerhouse project --model tiny-digits --dataset digits --at vision.2/mean \\
        --method tsne --colour answer --out vision.png
    """
    shown = project(**options)
    click.echo(shown.worth)
    if options["out"] is not None:
        click.echo(f"Figure: {options['out']}")
    for note in shown.notes:
        click.echo(f"Note: {note}")
