from __future__ import annotations

from typing import Any

import click

from layerhouse import runs
from layerhouse.cli.shared import format_option, lake_option, removal_options, show_removal
from layerhouse.printing import print_json, print_table
from warehouse.catalogue import open_tables
from warehouse.lake import Lake

FIELDS = ("run_id", "model_id", "dataset_id", "status", "started_at")


@click.group("runs", short_help="The runs of a lake: list them; remove one's rows.")
def command() -> None:
    """The runs of a lake: what each command did; `layerhouse sql "FROM run"` has all of them."""


@command.command("list")
@format_option
@lake_option
def list_runs(form: str, lake: Lake) -> None:
    """A table of the runs, the oldest first, with what each was of and how it stands.

    \b
    layerhouse runs list
    """
    with open_tables(lake) as warehouse:
        found = warehouse.sql(
            f"SELECT {', '.join(FIELDS)} FROM run ORDER BY started_at, run_id"
        ).fetchall()
    if form == "json":
        print_json({"runs": [dict(zip(FIELDS, row, strict=True)) for row in found]})
        return
    if not found:
        click.echo(f"{lake} holds no runs.")
        return
    rows = [
        [run, model or "–", data or "–", status, started.strftime("%Y-%m-%d %H:%M:%S")]
        for run, model, data, status, started in found
    ]
    print_table(["run", "model", "dataset", "status", "started"], rows)


@command.command("remove")
@click.argument("run")
@removal_options
def remove_run(run: str, form: str, **options: Any) -> None:
    """Take RUN's rows out of the lake; the command that made it does it anew.

    Its files stay until `layerhouse status --free` deletes them.

    \b
    layerhouse runs remove probe-0a1b2c3d4e5f --dry-run
    """
    show_removal(runs.remove(run, **options), form, options)
