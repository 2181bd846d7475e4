from __future__ import annotations

import sys

import click

from layerhouse.cli.shared import lake_option
from warehouse.lake import Lake


@click.command("mcp", short_help="Serve the lake to language-model agents, read-only.")
@click.option(
    "--images",
    is_flag=True,
    help="Show samples' pictures too; they leave this machine with what the agent reads.",
)
@click.option(
    "--limit-rows",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Give at most so many rows of a query.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30,
    show_default=True,
    metavar="S",
    help="Stop a query after so many seconds.",
)
@click.option("--memory", metavar="SIZE", help="A query takes at most so much, such as 4GB.")
@lake_option
def command(images: bool, limit_rows: int, timeout: float, memory: str | None, lake: Lake) -> None:
    """Serve the lake over the Model Context Protocol, on standard input and output.

    Nothing that an agent asks can change the lake or reach another file. It is a program of agents
    that starts this; docs/agents.md shows how to tell them.

    \b
    layerhouse mcp --lake /data/lakehouse
    layerhouse mcp --lake /data/lakehouse --limit-rows 50 --timeout 10
    """
    from layerhouse.mcp import Limits, serve

    if sys.stdin.isatty():
        click.echo(f"serving {lake} to an agent on standard input; Ctrl-C ends it", err=True)
    serve(lake, Limits(timeout=timeout, memory=memory, rows=limit_rows), images=images)
