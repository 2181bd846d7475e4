from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from layerhouse.cli.shared import lake_option
from layerhouse.functions import report


@click.command("report", short_help="Write one self-contained HTML report.")
@click.option("--model", multiple=True, metavar="M", help="Only these; repeatable.")
@click.option("--dataset", multiple=True, metavar="D", help="Only these; repeatable.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
)
@click.option(
    "--images",
    type=int,
    default=6,
    show_default=True,
    help="Lost images to embed per model and stage; 0 keeps patients' images out of the file.",
)
@click.option(
    "--page",
    type=int,
    default=1,
    show_default=True,
    help="Of many models, 40 a page are shown in full, best answer first.",
)
@lake_option
def command(**options: Any) -> None:
    """Write curves, losses, verdicts, comparisons and lost images as one HTML file.

    \b
    layerhouse report --out report.html
    layerhouse report --model tiny-digits --dataset digits --out digits.html
    """
    click.echo(f"Report: {report(**options)}")
