from __future__ import annotations

from typing import Any

import click

from layerhouse import runs
from layerhouse.cli.shared import removal_options, show_removal


@click.group("runs", short_help="Take one run's rows out of the lake.")
def command() -> None:
    """The runs of a lake; `layerhouse sql "FROM run"` lists them."""


@command.command("remove")
@click.argument("run")
@removal_options
def remove_run(run: str, **options: Any) -> None:
    """Take RUN's rows out of the lake; the command that made it does it anew.

    Its files stay until `layerhouse status --free` deletes them.

    \b
    layerhouse runs remove probe-0a1b2c3d4e5f --dry-run
    """
    show_removal(runs.remove(run, **options), dry_run=options["dry_run"])
