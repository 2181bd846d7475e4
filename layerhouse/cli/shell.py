from __future__ import annotations

import click

from layerhouse.cli.shared import lake_option, limit_options
from warehouse.lake import Lake


@click.command("shell", short_help="An interactive prompt, read-only.")
@click.option("--timing", is_flag=True, help="Say how long each query took.")
@limit_options
@lake_option
def command(timing: bool, timeout: float | None, memory: str | None, lake: Lake) -> int:
    """Ask the warehouse at a prompt; nothing typed there can change the lake or leave it.

    \b
    layerhouse shell
    layerhouse shell < questions.sql

    A query ends with a semicolon. `.help` lists what else can be typed.
    """
    from layerhouse.shell import Shell

    with Shell(lake, timing=timing, timeout=timeout, memory=memory) as shell:
        return shell.run()
