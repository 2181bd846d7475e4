from __future__ import annotations

import os
import signal
import sys
import webbrowser
from pathlib import Path

import click

from layerhouse.cli.shared import lake_option
from warehouse.lake import Lake

PORT = 8501


@click.command("explore", short_help="Look around in a lake or a published file, in a browser.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Of this machine; 0 takes a free one.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@lake_option
def command(file: Path | None, port: int, no_browser: bool, lake: Lake) -> int:
    """Serve pages about the lake, or about a FILE that `layerhouse publish` wrote, to this machine.

    All models on all datasets, their curves and losses, every sample with what two models made of
    it, and the SQL behind each page. Nothing can be changed and nothing is fetched from a network;
    who has an account on this machine can open the pages too.

    \b
    layerhouse explore
    layerhouse explore marts.duckdb --port 0 --no-browser
    """
    from layerhouse.explore import ExploredFile, ExploredLake, serve

    source = ExploredLake(lake) if file is None else ExploredFile(file)

    def announce(address: str) -> None:
        click.echo(f"{source.name} at {address} (Ctrl-C ends it)")
        if not no_browser and _has_screen():
            webbrowser.open(address)

    try:
        serve(source, port, announce)
    except KeyboardInterrupt:
        click.echo("ended")
        return 128 + signal.SIGINT
    return 0


def _has_screen() -> bool:
    """Elsewhere a browser for terminals could open and take this one."""
    if not sys.stdout.isatty():
        return False
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
