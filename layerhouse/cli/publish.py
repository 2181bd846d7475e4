from __future__ import annotations

from pathlib import Path

import click

from layerhouse.cli.shared import lake_option
from layerhouse.functions import publish
from warehouse.lake import Lake


@click.command("publish", short_help="Write the marts for BI tools.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR|FILE.duckdb",
    help="A folder (DuckDB file, Parquet and CSV) or one DuckDB file.",
)
@click.option(
    "--patients",
    is_flag=True,
    help="Also what may say who a patient is: group ids, paths, the samples' own ids.",
)
@lake_option
def command(lake: Lake, out: Path, patients: bool) -> None:
    """Write the marts where BI tools read them: an older-format DuckDB file, Parquet and CSV.

    Group ids and paths are left out and samples get other ids, as files that are published travel.

    \b
    layerhouse publish --out published
    layerhouse publish --out marts.duckdb
    """
    written = publish(out, patients=patients, lake=lake)
    if not written:
        click.echo(f"Nothing to do: {out} holds this state of the lake already.")
    for path in written:
        click.echo(str(path))
