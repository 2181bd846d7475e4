from __future__ import annotations

from pathlib import Path

import click

from layerhouse.cli.shared.options import dataset_id, lake_option
from warehouse.lake.lake import Lake


@click.command("report", short_help="Write one self-contained HTML report.")
@click.option("--model", "models", multiple=True, metavar="M", help="Only these; repeatable.")
@click.option("--dataset", "datasets", multiple=True, metavar="D", help="Only these; repeatable.")
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
@lake_option
def command(
    lake: Lake, models: tuple[str, ...], datasets: tuple[str, ...], out: Path, images: int
) -> None:
    """Write curves, losses, verdicts, comparisons and lost images as one HTML file.

    \b
    layerhouse report --out report.html
    layerhouse report --model tiny-digits --dataset digits --out digits.html
    """
    from analysis.report import report

    written = report(
        lake,
        out,
        models=models,
        datasets=[dataset_id(name) for name in datasets],
        images=images,
    )
    click.echo(f"Report: {written}")
