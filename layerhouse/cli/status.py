from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerhouse.cli.shared import format_option, lake_option
from layerhouse.printing import print_json
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.vocabulary import LIKELIHOOD

if TYPE_CHECKING:
    from warehouse.status import PairStatus, StatusReport


MANY_RECORDS = 500
"""Records that joining must spare to be worth a hint: a command reads some two a millisecond."""


@click.command("status", short_help="What is in the lake, what is incomplete, what to run next.")
@click.option("--verify", is_flag=True, help="Read every shard and compare its checksum.")
@click.option(
    "--repair", is_flag=True, help="Move damaged commits to quarantine/, to be done again."
)
@click.option(
    "--free", is_flag=True, help="Delete the files of what was removed, joined or never committed."
)
@click.option("--dry-run", is_flag=True, help="With --free: say what would be deleted.")
@format_option
@lake_option
def command(verify: bool, repair: bool, free: bool, dry_run: bool, form: str, lake: Lake) -> None:
    """Look the lake over; exit 1 when something in it is damaged.

    \b
    layerhouse status
    layerhouse status --format json
    layerhouse status --verify
    layerhouse status --repair
    layerhouse status --free --dry-run
    """
    from warehouse.status import status

    if dry_run and not free:
        raise UsageError("--dry-run says what --free would delete; add --free")
    if form == "json" and (repair or free):
        raise UsageError("--format json shows the state; give --repair and --free without it")
    if repair:
        _repair(lake)
    if free:
        _free(lake, dry_run=dry_run)
    report = status(lake, verify=verify)
    if form == "json":
        print_json(report)
    else:
        _show(report)
    if report.damaged or report.problem:
        click.get_current_context().exit(1)


def _show(report: StatusReport) -> None:
    size = report.n_bytes / 2**20
    click.echo(
        f"{report.lake}: {report.n_commits} commits, {report.n_shards} shards, {size:.1f} MiB"
    )
    _print_contents(report)
    _print_trouble(report)
    _print_floors(report)
    click.echo(f"Next: {report.next_command}")


def _repair(lake: Lake) -> None:
    from warehouse.lake import repair, restore, sweep

    for path in restore(lake):
        click.echo(f"Brought back from quarantine: {path}")
    taken = repair(lake)
    for each in taken:
        click.echo(f"Quarantined: {each.commit_id} ({len(each.files)} files), {each.reason}")
    if taken:
        click.echo(f"They lie in {lake}/{taken[0].folder}; the next run does them again.")
    else:
        click.echo("Nothing to repair: every commit record and every shard is sound.")
    swept = sweep(lake)
    if swept.deleted:
        size = sum(each.bytes for each in swept.deleted)
        click.echo(f"Deleted what killed writers left: {len(swept.deleted)} files, {size:,} bytes")
    if swept.set_aside:
        size = sum(each.bytes for each in swept.set_aside)
        click.echo(
            f"Quarantined: {len(swept.set_aside)} shards that no commit names, {size:,} bytes, in "
            f"{lake}/{swept.folder}"
        )


def _free(lake: Lake, *, dry_run: bool) -> None:
    from warehouse.catalogue import write_delta
    from warehouse.delta import clear_old, logged
    from warehouse.lake import free

    if not dry_run and (tables := logged(lake)):
        write_delta(lake, tables)  # else their newest versions would name what goes
    found = [(each.path, each.bytes) for each in free(lake, dry_run=dry_run)]
    found += clear_old(lake, dry_run=dry_run)
    if dry_run:
        for path, size in found:
            click.echo(f"Would delete: {path}, {size:,} bytes")
    size = sum(size for _, size in found)
    done = "Would be deleted" if dry_run else "Deleted"
    click.echo(f"{done} of what was removed or joined: {len(found)} files, {size:,} bytes")


def _print_contents(report: StatusReport) -> None:
    from layerhouse.printing import print_table

    if report.datasets:
        rows = [
            [each.dataset_id, f"{each.n_samples:,}", str(each.n_classes), ", ".join(each.baselines)]
            for each in report.datasets
        ]
        print_table(["dataset", "samples", "classes", "baselines"], rows)
        click.echo()
    if report.pairs:
        header = ["model", "dataset", "loci", "answers", "probes", "diagnosis"]
        print_table(header, [_pair(pair) for pair in report.pairs])
        click.echo()


def _print_floors(report: StatusReport) -> None:
    lacking = [pair.floor_command for pair in report.pairs if pair.floor_command is not None]
    if lacking:
        more = f" ({len(lacking) - 1:,} more)" if len(lacking) > 1 else ""
        click.echo(f"No floor yet, what an untrained network already gives: {lacking[0]}{more}")


def _pair(pair: PairStatus) -> list[str]:
    loci = sum(extent.n_loci_extracted for extent in pair.extents)
    known = sum(extent.n_loci for extent in pair.extents)
    tied = {LIKELIHOOD: f" ({pair.n_tied:,} tied)"} if pair.n_tied else {}
    answers = ", ".join(f"{name} {n:,}{tied.get(name, '')}" for name, n in pair.answers.items())
    probes = ", ".join(f"{n} {kind}" for kind, n in pair.probes.items())
    is_diagnosed = pair.verdict and pair.diagnosis != "none"  # views have a verdict before that
    verdict = f"{pair.verdict} ({pair.diagnosis})" if is_diagnosed else pair.diagnosis
    return [pair.model_id, pair.dataset_id, f"{loci} of {known}", answers, probes, verdict]


def _print_trouble(report: StatusReport) -> None:
    if report.problem:
        click.echo(f"Problem: {report.problem}")
    for pair in report.pairs:
        if pair.is_silent:
            click.echo(
                f"Not known: what {pair.model_id} saw of {pair.dataset_id} in training; all that "
                f"was extracted is scored; its extraction once more notes it: {pair.next_command}"
            )
    for run in report.unfinished:
        click.echo(f"Unfinished: {run.run_id}, begun {run.started_at:%Y-%m-%d %H:%M} UTC")
    for damaged in report.damaged:
        click.echo(f"Damaged: {damaged.path}, {damaged.problem}")
    if report.leftovers:
        size = sum(leftover.bytes for leftover in report.leftovers)
        click.echo(f"Left over, never read: {len(report.leftovers)} files, {size:,} bytes")
    if report.removed:
        size = sum(each.bytes for each in report.removed)
        click.echo(
            f"Removed or joined, never read: {len(report.removed)} files, {size:,} bytes; "
            "`layerhouse status --free` deletes them"
        )
    if report.joinable >= MANY_RECORDS:
        click.echo(
            f"Small commits: {report.joinable:,} records fewer to be read at each look at the lake "
            "is what `layerhouse compact` makes of them"
        )
