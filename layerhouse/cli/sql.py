from __future__ import annotations

import sys
from pathlib import Path

import click

from layerhouse.cli import formats
from layerhouse.cli.options import lake_option
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake


@click.command("sql", short_help="Ask the warehouse, read-only.")
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(formats.FORMATS),
    help="[default: table on a terminal, csv elsewhere]",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@lake_option
def command(query: str, form: str | None, out: Path | None, lake: Lake) -> None:
    """Ask the warehouse one read-only QUERY.

    \b
    layerhouse sql "SELECT * FROM failure_mode"
    layerhouse sql "FROM signal_flow" --format parquet --out flow.parquet
    """
    import duckdb

    from warehouse import catalogue

    chosen = form or ("table" if out is None and sys.stdout.isatty() else "csv")
    with catalogue.connect(lake) as warehouse:
        relation = warehouse.sql(query)
        try:
            formats.write(relation, chosen, sys.stdout, out)
        except duckdb.Error as fault:
            # A relation runs when it is read: a failed cast or a forbidden file shows only then.
            raise LayerhouseError(str(fault).strip()) from fault
