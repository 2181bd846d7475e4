from __future__ import annotations

import click

from layerhouse.cli.shared import lake_option
from warehouse.lake import Lake


@click.command("compact", short_help="Join small commits, so that a long run reads as a short one.")
@click.option("--dry-run", is_flag=True, help="Say what would be joined.")
@lake_option
def command(dry_run: bool, lake: Lake) -> None:
    """Join the small shards and records of runs that have many; rows and answers stay as they are.

    Agents and readers may be at work meanwhile. What was joined stays until `layerhouse status
    --free` deletes it.

    \b
    layerhouse compact --dry-run
    layerhouse compact
    """
    from warehouse.lake import compact

    verb, n_joined = "Would join" if dry_run else "Joined", 0
    for one in compact(lake, dry_run=dry_run):
        what = (
            f"{one.run_id}: {one.n_commits:,} commits in {len(one.records):,} records and "
            f"{one.n_shards:,} shards, {one.n_bytes / 2**20:.1f} MiB"
        )
        if not dry_run and one.joined is None:
            click.echo(f"Left alone, as others joined or removed some of it meanwhile: {what}")
            continue
        n_joined += 1
        click.echo(f"{verb} {what}, to one record and {one.n_folders:,} shards")
    if not n_joined:
        click.echo("Nothing to join: no run has many small commits.")
    elif not dry_run:
        click.echo("`layerhouse status --free` deletes what was joined.")
