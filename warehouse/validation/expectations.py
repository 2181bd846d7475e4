"""Checks become Great Expectations suites, one per table, run on an open DuckDB connection."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

# Read when Great Expectations is imported: nothing of a lake leaves the machine.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.exceptions import DataContextRequiredError
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer import site_builder

from warehouse.validation.checks import Check
from warehouse.validation.dialect import lent
from warehouse.validation.report import SHOWN, CheckResult

DATA_SOURCE = "catalogue"
SITE = "layerhouse"


def run_suites(
    con: duckdb.DuckDBPyConnection, checks: Sequence[Check], data_docs: Path | None
) -> list[CheckResult]:
    """Run the checks, which come ordered by table; write Data Docs if a folder is given.

    The pages are Great Expectations' own, links to the network included: see `data_docs`.
    """
    results: list[CheckResult] = []
    with lent(con) as url, _context() as context:
        source = context.data_sources.add_sql(DATA_SOURCE, connection_string=url)
        for table, group in groupby(checks, key=lambda check: check.table):
            results += _run_suite(context, source, table, list(group))
        if data_docs is not None:
            _write_site(context, data_docs)
        source.get_engine().dispose()
    return results


@contextmanager
def _context() -> Iterator[Any]:
    """A quiet data context in memory, that leaves the process' own context as it was."""
    try:
        before = project_manager.get_current_project()
    except DataContextRequiredError:
        before = None
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    try:
        yield context
    finally:
        project_manager.set_project(before)


def _run_suite(context: Any, source: Any, table: str, checks: list[Check]) -> list[CheckResult]:
    try:
        batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table(
            "whole table"
        )
    except Exception as error:  # an unreadable table is a finding, whatever Great Expectations says
        return [_unmade(check, str(error.__cause__ or error)) for check in checks]
    suite = gx.ExpectationSuite(name=table, expectations=[_expectation(check) for check in checks])
    definition = gx.ValidationDefinition(name=table, data=batch, suite=context.suites.add(suite))
    outcome = context.validation_definitions.add(definition).run(result_format="COMPLETE")
    # Results come in an order of their own; every expectation carries its check's name.
    found = {result.expectation_config.meta["check"]: result for result in outcome.results}
    return [_result(check, found[check.name]) for check in checks]


def _expectation(check: Check) -> Any:
    # {batch} tells Great Expectations that a query is about its table; other braces are doubled,
    # and a colon before a word would be a parameter to SQLAlchemy.
    query = check.sql.replace("{", "{{").replace("}", "}}")
    query = re.sub(r"(?<!:):(?=\w)", r"\\:", query)
    return gx.expectations.UnexpectedRowsExpectation(
        unexpected_rows_query=f"/* checks {{batch}} */\n{query}",
        description=check.rule,
        severity=FailureSeverity.CRITICAL if check.level == "error" else FailureSeverity.WARNING,
        meta={"check": check.name},
    )


def _result(check: Check, found: Any) -> CheckResult:
    for fault in (found.exception_info or {}).values():
        if isinstance(fault, dict) and fault.get("raised_exception"):
            return _unmade(check, fault["exception_message"])
    rows = found.result["details"]["unexpected_rows"]
    return CheckResult(
        name=check.name,
        table=check.table,
        rule=check.rule,
        level=check.level,
        passed=bool(found.success),
        unexpected=int(found.result["observed_value"]),
        rows=[dict(row) for row in rows[:SHOWN]],
    )


def _unmade(check: Check, message: str) -> CheckResult:
    reason = message.strip().splitlines()[0] if message.strip() else "no reason given"
    return CheckResult(check.name, check.table, check.rule, check.level, False, 0, [], reason)


def _write_site(context: Any, folder: Path) -> None:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.absolute())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        SITE, {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    )
    log = logging.getLogger(site_builder.__name__)
    log.addFilter(_raise)
    try:
        context.build_data_docs(site_names=[SITE])
    finally:
        log.removeFilter(_raise)


def _raise(record: logging.LogRecord) -> bool:
    """Pages that cannot be written Great Expectations only logs, and leaves out."""
    error = sys.exception()
    if record.levelno >= logging.ERROR and isinstance(error, OSError):
        raise error
    return True
