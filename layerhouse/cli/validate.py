from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerhouse.cli.shared import format_option, lake_option
from layerhouse.functions import validate
from layerhouse.printing import document, print_json
from warehouse.lake import Lake

if TYPE_CHECKING:
    from warehouse.validation import ValidationReport


@click.command("validate", short_help="Check the whole warehouse with Great Expectations.")
@click.option(
    "--data-docs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write Data Docs that open offline into this folder.",
)
@format_option
@lake_option
def command(data_docs: Path | None, form: str, lake: Lake) -> None:
    """Check every table and mart; exit 1 when a check fails.

    \b
    layerhouse validate
    layerhouse validate --data-docs docs-out
    """
    report = validate(data_docs=data_docs, lake=lake)
    if form == "json":
        print_json(document(report) | {"passed": report.passed})
    else:
        _show(report)
    if not report.passed:
        click.get_current_context().exit(1)


def _show(report: ValidationReport) -> None:
    for check in [*report.failures, *report.warnings]:
        word = "FAILED" if check in report.failures else "Warning"
        click.echo(f"{word} {check.table}.{check.name}: {check.rule}; {check.detail}")
    n_passed = sum(check.passed for check in report.checks)
    click.echo(f"{n_passed} of {len(report.checks)} checks passed in {report.seconds:.1f} s")
    if report.data_docs is not None:
        click.echo(f"Data Docs: {report.data_docs}")
