from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.report import FIGURE_FORMS, FIGURE_WIDTHS, TABLE_MARKUPS
from layerhouse.cli.shared import Word, lake_option
from layerhouse.functions import figures
from layerhouse.printing import counted


class AnyCase(Word):
    """`PDF` is `pdf`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value.lower(), param, ctx)


@click.command("figures", short_help="Write figures and tables for a paper.")
@click.option("--model", multiple=True, metavar="M", help="Only these; repeatable.")
@click.option("--dataset", multiple=True, metavar="D", help="Only these; repeatable.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A folder."
)
@click.option(
    "--format",
    multiple=True,
    type=AnyCase("format", FIGURE_FORMS),
    default=["pdf"],
    show_default=True,
    help="Repeatable.",
)
@click.option(
    "--table",
    type=AnyCase("table", TABLE_MARKUPS),
    help="Also leaderboard, losses, baselines and pairs, in this.",
)
@click.option(
    "--width",
    type=AnyCase("width", FIGURE_WIDTHS),
    default="single",
    show_default=True,
    help="A paper's column, 3.5 in, or its two, 7.2 in.",
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only these figures and tables; repeatable."
)
@lake_option
def command(**options: Any) -> None:
    """Write every figure of the report as a file of its own, and its tables, for a paper.

    Fonts are embedded, letters are of 6 pt or more. figures.json in the folder says what each file
    shows; files that are not named there are never touched.

    \b
    layerhouse figures --out figures
    layerhouse figures --out figures --table latex --only losses --model tiny-digits
    """
    done = figures(**options)
    for note in done.notes:
        click.echo(f"Note: {note}")
    click.echo(f"{counted(len(done.written), 'file')} in {options['out']}")
