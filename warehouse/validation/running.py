"""Validation from the lake to the report."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from warehouse.catalogue import Warehouse, changed_samples, current, open_catalogue
from warehouse.lake import Commit, Lake, list_commits, still_held, unsound
from warehouse.schema import FACT_KEYS, tables
from warehouse.storage import Shard
from warehouse.validation.checks import Check, all_checks, prepared
from warehouse.validation.data_docs import finish, staged
from warehouse.validation.report import CheckResult, ValidationReport
from warehouse.vocabulary import BLIND

PARTS = {"activation": "activation_part", "token_activation": "token_part"}
"""By table of vectors the prepared one that has counted them."""


def validate(lake: Lake, data_docs: Path | None = None) -> ValidationReport:
    """Check every table and mart of a lake; with `data_docs`, write Data Docs into that folder.

    The catalogue is brought up to date first and then only read. Raises UsageError where there is
    no lake and LayerhouseError where its catalogue cannot be built; whatever is wrong with the data
    is in the report instead.
    """
    started = time.monotonic()
    lake = current(lake)
    if data_docs is None:
        return ValidationReport(_results(lake, None), time.monotonic() - started)
    with staged(data_docs) as folder:
        report = ValidationReport(_results(lake, folder), time.monotonic() - started, data_docs)
        finish(folder, report)
    return report


def _results(lake: Lake, site: Path | None) -> list[CheckResult]:
    with open_catalogue(lake) as con:
        problems = prepare(con, lake)
        # Three seconds of imports that only this command needs.
        from warehouse.validation.expectations import run_suites

        results = run_suites(con, all_checks(), site)
    return [_explained(*pair, problems) for pair in zip(results, all_checks(), strict=True)]


def prepare(con: duckdb.DuckDBPyConnection, lake: Lake) -> dict[str, str]:
    """Make the tables that several checks ask; returns which failed, and why.

    They are temporary, so that they live on this connection and touch no file.
    """
    _find_unsound(con, lake)
    _find_shards(con, lake)
    _find_changed_images(con, lake)
    _find_removed_samples(con, lake)
    commits = list_commits(lake)
    _find_blind(con, commits)
    problems = {}
    for name, query in prepared().items():
        try:
            con.execute(f'CREATE TEMP TABLE "{name}" AS\n{query}')
        except duckdb.Error as error:
            problems[name] = str(error).strip().splitlines()[0]
    replaced = {table for one in commits for table in one.covers.get("replaces", ())}
    con.execute("CREATE TEMP TABLE counted_table (table_name TEXT, is_fact BOOL, n_rows BIGINT)")
    for table in tables():
        # The vectors have been counted already.
        part = PARTS.get(table)
        counting = f"coalesce(sum(n_rows), 0) FROM {part}" if part else f'count(*) FROM "{table}"'
        if part not in problems:
            is_fact = table in FACT_KEYS and table not in replaced
            con.execute(f"INSERT INTO counted_table SELECT $1, $2, {counting}", [table, is_fact])
    return problems


def _find_shards(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """The sound ones of the committed shards as they lie on the disk: size, and rows by their own
    footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = lake.store
    paths, sizes, rows = [], [], []
    sound = "SELECT path FROM shard ANTI JOIN unsound_shard USING (path)"
    for (path,) in con.execute(sound).fetchall():
        try:
            size, n_rows = store.size(path), pq.read_metadata(store.open(path)).num_rows
        except (OSError, pa.ArrowException):
            continue
        paths.append(path)
        sizes.append(size)
        rows.append(n_rows)
    con.execute(
        "CREATE TEMP TABLE found_shard AS "
        "SELECT unnest($1::TEXT[]) AS path, unnest($2::BIGINT[]) AS n_bytes, "
        "unnest($3::BIGINT[]) AS n_rows",
        [paths, sizes, rows],
    )


def _find_unsound(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Shards of other bytes than their commits recorded; what was verified before and has not
    changed is not read again."""
    committed = con.execute("SELECT table_name, path, n_rows, n_bytes, checksum FROM shard")
    found = unsound(lake, [Shard(*row) for row in committed.fetchall()])
    con.execute(
        "CREATE TEMP TABLE unsound_shard AS SELECT unnest($1::TEXT[]) AS path, "
        "unnest($2::TEXT[]) AS problem",
        [list(found), list(found.values())],
    )


def _find_changed_images(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Samples whose files hold other images than those that were registered."""
    changed = changed_samples(Warehouse(lake, con))
    con.execute(
        "CREATE TEMP TABLE changed_image AS SELECT unnest($1::TEXT[]) AS dataset_id, "
        "unnest($2::TEXT[]) AS sample_id, unnest($3::TEXT[]) AS uri",
        [
            [dataset_id for dataset_id, _ in changed],
            [image.sample_id for _, image in changed],
            [image.uri for _, image in changed],
        ],
    )


def _find_removed_samples(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Files that still hold rows of samples which were removed."""
    marks: dict[str, set[str]] = defaultdict(set)
    for dataset_id, mark in con.execute("SELECT dataset_id, mark FROM removed_sample").fetchall():
        marks[dataset_id].add(mark)
    found = list(still_held(lake, marks))
    con.execute(
        "CREATE TEMP TABLE kept_sample AS SELECT unnest($1::TEXT[]) AS dataset_id, "
        "unnest($2::TEXT[]) AS path, unnest($3::BIGINT[]) AS n_rows",
        [[k.dataset_id for k in found], [k.path for k in found], [k.n_rows for k in found]],
    )


def _find_blind(con: duckdb.DuckDBPyConnection, commits: Sequence[Commit]) -> None:
    """Where the self-check found that the last token has seen nothing of the image yet, one row a
    layer, and one without a layer for each model and dataset of which that is known."""
    told = [(one, [None, *one.notes[BLIND]]) for one in commits if BLIND in one.notes]
    rows = [(one.model_id, one.dataset_id, locus) for one, loci in told for locus in loci]
    con.execute(
        "CREATE TEMP TABLE blind_locus AS SELECT unnest($1::TEXT[]) AS model_id, "
        "unnest($2::TEXT[]) AS dataset_id, unnest($3::TEXT[]) AS locus",
        [list(column) for column in zip(*rows, strict=True)] or [[], [], []],
    )


def _explained(result: CheckResult, check: Check, problems: dict[str, str]) -> CheckResult:
    """A check that could not be made names its prepared table's fault rather than its absence."""
    if result.problem is None:
        return result
    faults = [problem for name, problem in problems.items() if name in check.sql]
    return replace(result, problem=faults[0]) if faults else result
