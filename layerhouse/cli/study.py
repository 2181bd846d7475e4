from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import format_option, progress
from layerhouse.printing import counted, print_json, print_table
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

if TYPE_CHECKING:
    from layerhouse.study import Came, Cost, Ground, Study, StudyCell, StudyStep

STATUS = "status"
DONE, NOTHING = "✓", "–"
IN_WORDS = {DONE: "done", NOTHING: None}
"""What marks of the grid are for a program; others are words already."""


class Files(click.Group):
    """A group whose first argument is a file, unless it is one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args.insert(0, "run")
        return super().parse_args(ctx, args)


file_argument = click.argument("file", type=click.Path(path_type=Path))
lake_option = click.option(
    "--lake",
    metavar="PATH|URL",
    help="The lake's folder, or s3://bucket/prefix, gs://….  [default: as the file says, else "
    "$LAYERHOUSE_LAKE, else lakehouse beside the file]",
)


@click.group("study", cls=Files, short_help="Run models × datasets × variants from one file.")
def command() -> None:
    """Run all of a study that is not done yet: extract, probe, diagnose and what its file asks for.

    \b
    layerhouse study study.toml --dry-run
    layerhouse study study.toml
    layerhouse study study.toml --share 2/8
    layerhouse study status study.toml
    """


@command.command("run", hidden=True)
@file_argument
@click.option("--dry-run", is_flag=True, help="Print the steps and what they cost; do nothing.")
@click.option(
    "--share", metavar="I/N", help="Only every N-th cell, from the I-th: for jobs side by side."
)
@lake_option
def run_command(file: Path, dry_run: bool, share: str | None, lake: str | None) -> None:
    """Run all of a study that is not done yet.

    Each step is a command of its own, and does nothing where it is done. One that fails stops only
    what needs it; the end names it and the command. Exit 1 if any failed.

    \b
    layerhouse study run study.toml --dry-run
    layerhouse study run study.toml --share 2/8
    """
    from layerhouse.study import Share, run

    chosen = Share.parse(share) if share is not None else None
    ground, steps = _opened(file, lake)
    if chosen is not None:
        steps = chosen.of_steps(steps)
    if dry_run:
        _print_plan(ground, steps)
        return
    with progress(f"study {ground.study.title}") as told:

        def on_step(number: int, step: StudyStep, came: Came | None) -> None:
            told(number, len(steps), str(step))
            if came is not None:
                click.echo(f"[{number + 1}/{len(steps)}] {_said(came)}")

        came = run(ground, steps, on_step)
    _print_end(ground, came)


@command.command(STATUS)
@file_argument
@format_option
@lake_option
def status_command(file: Path, form: str, lake: str | None) -> None:
    """Show the grid: what is done of every cell, and what each says.

    \b
    layerhouse study status study.toml
    """
    from layerhouse.study import cells_of

    ground, steps = _opened(file, lake)
    standing, rows = ground.refresh(), []
    done = {step.name: standing.is_done(step) for step in steps if step.cell is not None}
    for cell in cells_of(ground.study):
        kinds = ("extract", "probe", "diagnose")
        marks = [_mark(ground, step, done[step.name]) for step in _of(steps, cell, kinds)]
        pair = standing.pair(cell)
        verdict = (pair.verdict if pair is not None else None) or NOTHING
        name = cell.model.name, cell.variant.name, cell.dataset.dataset
        rows.append([*name, *marks, verdict])
    heads = ["model", "variant", "dataset", "extract", "probe", "diagnose", "verdict"]
    lacking = sum(not is_done for is_done in done.values())
    if form == "json":
        cells = [dict(zip(heads, map(IN_WORDS.get, row, row), strict=True)) for row in rows]
        print_json({"cells": cells, "n_lacking": lacking})
        return
    print_table(heads, rows)
    if lacking:
        click.echo(
            f"\n{lacking} steps of cells are not done. Next: layerhouse study {quote(str(file))}"
        )


def _of(steps: Sequence[StudyStep], cell: StudyCell, kinds: Sequence[str]) -> list[StudyStep]:
    """A cell's steps of these kinds, in their order."""
    from layerhouse.study import named_of

    by_name = {step.name: step for step in steps}
    return [by_name[named_of(kind, cell)] for kind in kinds]


def _mark(ground: Ground, step: StudyStep, is_done: bool) -> str:
    record = ground.record(step)
    if record is not None and not record.went_well:
        return "failed"
    return DONE if is_done else NOTHING


def _opened(file: Path, lake: str | None) -> tuple[Ground, list[StudyStep]]:
    from layerhouse.study import Ground, Journal, plan, read_study

    study = read_study(file)
    given = lake or study.place or os.environ.get("LAYERHOUSE_LAKE")
    place = Lake.at(given if given is not None else study.folder / "lakehouse")
    journal = Journal(study.folder / f"{study.path.stem}.study")
    steps = plan(study)
    with chdir(study.folder):  # whence its paths are seen
        options = {step.name: _read(study, step) for step in steps}
    return Ground(study, place, journal, options), steps


def _read(study: Study, step: StudyStep) -> dict[str, Any]:
    """A step's options as click will read them when it is run; or what it would say."""
    from layerhouse.cli import layerhouse
    from layerhouse.functions import refuse_unknown_words

    found: click.Command | None = layerhouse
    rest, context = list(step.arguments), click.Context(layerhouse)
    while isinstance(found, click.Group):
        found = found.get_command(context, rest.pop(0))
    assert found is not None
    try:
        options = found.make_context(step.kind, rest).params
        if step.kind == "extract":
            refuse_unknown_words(options["model"], options)
        return options
    except (click.ClickException, UsageError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise UsageError(f"{study.path}: {step}: {said}") from error


def _print_plan(ground: Ground, steps: Sequence[StudyStep]) -> None:
    from layerhouse.study import costs

    standing = ground.refresh()
    known = [step for step in steps if step.kind != "extract"]
    click.echo(f"{ground.study.title}: {len(steps)} steps into {ground.lake}")
    found = []
    for cost in costs(ground, standing, list(steps)):
        found.append(cost)
        click.echo(f"  {cost.step.cell}: {_cost(cost)}")
    if found:
        click.echo(f"Extraction in all: {_in_all(found)}")
    for step in known:
        there = " (there already)" if standing.is_done(step) else ""
        click.echo(f"  {ground.text(step)}{there}")
    wrong = [str(cost.step.cell) for cost in found if cost.is_wrong]
    if wrong:
        cells = counted(len(wrong), "cell")
        raise UsageError(f"{cells} cannot be run as written: {', '.join(wrong)}")


def _cost(cost: Cost) -> str:
    if cost.why and cost.n_samples == 0:
        return cost.why
    parts = [
        "images not counted yet" if cost.n_samples is None else f"{cost.n_samples:,} images",
        "size not known" if cost.n_bytes is None else _size(cost.n_bytes),
        "time not known" if cost.seconds is None else _time(cost.seconds),
    ]
    return ", ".join(parts) + (f" ({cost.why})" if cost.why else "")


def _in_all(found: Sequence[Cost]) -> str:
    """Sums of what is known, and of how many cells each is not."""
    sums = []
    for values, shown in (
        ([one.n_samples for one in found], lambda n: f"{n:,.0f} images"),
        ([one.n_bytes for one in found], _size),
        ([one.seconds for one in found], _time),
    ):
        known = [float(value) for value in values if value is not None]
        lacking = len(values) - len(known)
        unknown = f" and {counted(lacking, 'cell')} not known" if lacking else ""
        sums.append(shown(sum(known)) + unknown)
    return ", ".join(sums)


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.0f} MB"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds:,.0f} s"


def _said(came: Came) -> str:
    from layerhouse.study import StepOutcome

    spent = f" in {came.seconds:,.0f} s" if came.outcome is StepOutcome.DONE else ""
    return f"{came.step}: {came.outcome.value}{spent}{f', {came.why}' if came.why else ''}"


def _print_end(ground: Ground, came: Sequence[Came]) -> None:
    from layerhouse.study import StepOutcome

    failed = [one for one in came if one.outcome is StepOutcome.FAILED]
    waits = [one for one in came if one.outcome is StepOutcome.WAITS]
    new = sum(one.outcome is StepOutcome.DONE for one in came)
    click.echo(f"\n{new} steps done, {len(came) - new - len(failed) - len(waits)} there already.")
    if failed and Path.cwd() != ground.study.folder:
        click.echo(f"Paths are seen from {ground.study.folder}.")
    for one in failed:
        said = ground.journal.log(one.step.name)
        click.echo(f"\nFailed: {one.why}\n  {ground.text(one.step)}")
        click.echo(f"  all it said: {said}")
    for one in waits:
        click.echo(f"Not run: {ground.text(one.step)} ({one.why})")
    if failed:
        raise LayerhouseError(
            f"{len(failed)} of {len(came)} steps failed; give the command again when that is mended"
        )
