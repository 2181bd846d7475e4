from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerhouse.cli.shared import format_option, lake_option
from layerhouse.printing import interval, print_json, print_table
from warehouse.lake import Lake

if TYPE_CHECKING:
    from layerhouse.demo import DemoRow


@click.command("demo", short_help="The whole story on a shipped tiny model, offline.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="Where to write the report.",
)
@format_option
@lake_option
def command(out: Path, form: str, lake: Lake) -> None:
    """Run the shipped tiny model on handwritten digits, healthy and with four known faults.

    \b
    layerhouse demo
    layerhouse demo --lake /tmp/lake --out /tmp/report.html
    """
    # Set before transformers is imported: the demo must not even ask whether there is a network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from layerhouse.demo import demo

    started = time.monotonic()
    is_json = form == "json"
    rows = demo(lake, out, say=lambda step: click.echo(f"· {step}", err=is_json))
    if is_json:
        print_json({"rows": rows, "report": out, "lake": lake})
        return
    click.echo()
    _print(rows)
    click.echo(f"\nReport: {out}   Lake: {lake}   {time.monotonic() - started:.0f} s")


def _print(rows: Sequence[DemoRow]) -> None:
    table = []
    for row in rows:
        losses = [interval(mode.loss, mode.lower, mode.upper) for mode in row.diagnosis.rows]
        answered = interval(row.diagnosis.answered, None, None)
        table.append([row.fault or "none", answered, *losses, row.diagnosis.verdict])
    header = ["fault", "answer", *(mode.failure_mode for mode in rows[0].diagnosis.rows)]
    print_table([*header, "verdict"], table)
