from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from layerhouse.cli.shared import Word, lake_option, limit_options
from layerhouse.printing import FORM_OF, FORMATS, unbroken, write_relation
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake


@click.command("sql", short_help="Ask the warehouse, read-only.")
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=Word("format", FORMATS),
    help="[default: by the ending of --out; else table on a terminal, csv elsewhere]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file: .csv, .parquet, .json or .md.",
)
@click.option("--timing", is_flag=True, help="Say on stderr how long the query took.")
@click.option(
    "--explain",
    is_flag=True,
    help="Show DuckDB's plan instead; with --timing, run the query and show where time went.",
)
@click.option("--limit-rows", type=click.IntRange(min=0), help="Give at most so many rows.")
@limit_options
@lake_option
def command(query: str, form: str | None, out: Path | None, lake: Lake, **options: Any) -> None:
    """Ask the warehouse one read-only QUERY; - reads it from standard input.

    \b
    layerhouse sql "SELECT * FROM failure_mode"
    layerhouse sql "FROM signal_flow" --format parquet --out flow.parquet
    layerhouse sql --explain --timing "FROM signal_flow WHERE model_id = 'tiny-digits'"
    """
    import duckdb

    from warehouse.catalogue import connect

    text = _text(query)
    chosen = form or _form_of(out)
    if out is not None:
        lake.refuse_own(out)
        if options["explain"]:
            raise UsageError("--explain prints a plan and writes no file: leave --out away")
    timing, most = options["timing"], options["limit_rows"]
    with connect(lake, timeout=options["timeout"], memory=options["memory"]) as warehouse:
        started = time.monotonic()
        try:
            if options["explain"]:
                plan = warehouse.sql(f"EXPLAIN {'ANALYZE ' if timing else ''}{text}")
                for _, lines in plan.fetchall():
                    click.echo(lines.rstrip(), file=unbroken(sys.stdout))
            else:
                rows = warehouse.sql(text)
                write_relation(rows if most is None else rows.limit(most), chosen, sys.stdout, out)
                if most is not None and len(rows.limit(most + 1)) > most:
                    click.echo(f"the first {most:,} rows; the query gives more", err=True)
        except duckdb.Error as fault:
            # A relation runs when it is read: a failed cast or a forbidden file shows only then.
            raise LayerhouseError(str(fault).strip()) from fault
        if timing:
            click.echo(f"{time.monotonic() - started:.3f} s", err=True)


def _form_of(out: Path | None) -> str:
    """The form of a result that nobody named; UsageError for a file whose ending says another."""
    if out is None:
        return "table" if sys.stdout.isatty() else "csv"
    if out.suffix.lower() in ("", ".txt"):
        return "csv"
    if form := FORM_OF.get(out.suffix.lower()):
        return form
    raise UsageError(
        f"{out} says not how it is to be written: call it {' or '.join(FORM_OF)}, or give --format"
    )


def _text(query: str) -> str:
    """The query itself; UsageError where its bytes are no letters in the locale of this shell."""
    try:
        text = sys.stdin.read() if query == "-" else query
        text.encode()
    except UnicodeError as fault:
        raise UsageError(
            f"the query holds bytes that are no {sys.getfilesystemencoding()}: write it in UTF-8, "
            "in a locale that reads it (LC_ALL=C.UTF-8)"
        ) from fault
    return text
