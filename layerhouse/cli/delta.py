from __future__ import annotations

import click

from layerhouse.cli.shared import lake_option
from layerhouse.functions import delta
from layerhouse.printing import counted
from warehouse.lake import Lake


@click.command("delta", short_help="Every table as a Delta table, where it lies.")
@click.option("--table", "chosen", multiple=True, metavar="T", help="Only this one; repeatable.")
@click.option("--remove", is_flag=True, help="Delete the logs; the lake itself is untouched.")
@lake_option
def command(chosen: tuple[str, ...], remove: bool, lake: Lake) -> None:
    """Write Delta logs over the committed shards, so that readers of that format see every table.

    No vector is copied. The logs are derived like the catalogue: each refresh of it brings them up
    to date, one version each time, and they may be deleted at any time.

    \b
    layerhouse delta
    layerhouse delta --table activation --table sample
    layerhouse delta --remove
    """
    from warehouse.delta import logged, unread_by_polars

    before = set(logged(lake))
    logs = delta(chosen, remove=remove, lake=lake)
    if remove:
        gone = len(before - set(logged(lake)))
        tables = counted(gone, "table")
        click.echo(f"Deleted the Delta logs of {tables}." if gone else "There was none.")
        return
    filled = [log for log in logs if log.n_files]
    for log in filled:
        anew = f", {log.n_rewritten:,} of them written anew" if log.n_rewritten else ""
        what = f"{log.n_rows:,} rows in {counted(log.n_files, 'file')}{anew}"
        click.echo(f"{log.table}: version {log.version}, {what}")
    if empty := len(logs) - len(filled):
        click.echo(f"{counted(empty, 'table')} without rows.")
    if not any(log.new for log in logs):
        click.echo("Nothing to do: the logs showed this state of the lake already.")
    if why := unread_by_polars(lake):
        click.echo(f"Note: Polars does not find the files, as there is {why} in {lake.root}.")
