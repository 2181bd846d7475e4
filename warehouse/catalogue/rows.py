"""What a query gives: a DuckDB relation of which only what reads is left.

A relation as DuckDB hands it out writes wherever its connection may read: `to_parquet` over a
committed shard. Ctrl-C and time limits hold here too: DuckDB looks at neither while it works, so
the work is done in a thread that the waiting one can stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import duckdb

from warehouse.errors import LayerhouseError

FETCHING = frozenset(
    {
        *("arrow", "df", "describe", "explain", "fetch_arrow_reader", "fetch_arrow_table"),
        *("fetch_record_batch", "fetchall", "fetchdf", "fetchnumpy"),
        *("pl", "preview", "show", "to_arrow_reader", "to_arrow_table", "to_df", "to_dicts"),
        *("torch", "__arrow_c_stream__", "__len__", "__repr__", "__str__"),
    }
)
"""What runs the query."""

CHAINING = frozenset(
    {
        *("aggregate", "any_value", "arg_max", "arg_min", "avg", "count", "cross", "distinct"),
        *("except_", "filter", "first", "head", "histogram", "intersect", "join", "last", "limit"),
        *("max", "mean", "median", "min", "mode", "offset", "order", "pivot", "product", "project"),
        *("quantile", "quantile_cont", "quantile_disc", "rename", "sample", "select"),
        *("select_dtypes", "select_types", "set_alias", "sort", "std", "stddev", "sum", "union"),
        *("union_by_name", "unique", "unnest", "unpivot", "value_counts", "var", "variance"),
        *("with_columns", "__getitem__"),
    }
)
"""What makes another query of it."""

TELLING = frozenset(
    {"alias", "columns", "description", "dtypes", "shape", "sql_query", "type", "types"}
)
BATCH = 1024
TICK = 0.1
"""A signal that another thread was given is seen when this one wakes up, after so many seconds."""
GRACE = 0.5
"""Seconds that a query gets to end once it was stopped."""


class Rows:
    """The rows of a query, which runs when they are asked for: `.fetchall()`, `.pl()`, `.df()`,
    `.to_arrow_table()`, and `.filter(…)`, `.limit(…)` … for others."""

    def __init__(
        self, relation: Any, con: duckdb.DuckDBPyConnection, timeout: float | None
    ) -> None:
        self._relation, self._con, self._timeout = relation, con, timeout

    def __getattr__(self, name: str) -> Any:
        if name in TELLING:
            return getattr(self._relation, name)
        if name in FETCHING:
            return lambda *given, **named: self._run(name, *given, **named)
        if name in CHAINING:
            return lambda *given, **named: self._chain(name, *given, **named)
        raise AttributeError(
            f"the rows of a lake have no {name}: they are only read; take them out with "
            ".to_arrow_table(), .pl() or .df() and go on there"
        )

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        rows = self._relation.iter_rows()
        while batch := stoppable(self._con, lambda: list(islice(rows, BATCH)), self._timeout):
            yield from batch

    def __len__(self) -> int:
        return int(self._run("__len__"))

    def __getitem__(self, name: Any) -> Any:
        return self._chain("__getitem__", name)

    def __repr__(self) -> str:
        return str(self._run("__repr__"))

    def __arrow_c_stream__(self, requested: Any = None) -> Any:
        return self._run("__arrow_c_stream__", requested)

    def _chain(self, name: str, *given: Any, **named: Any) -> Any:
        plain = [each._relation if isinstance(each, Rows) else each for each in given]
        found = getattr(self._relation, name)(*plain, **named)
        is_relation = isinstance(found, duckdb.DuckDBPyRelation)
        return Rows(found, self._con, self._timeout) if is_relation else found

    def _run(self, name: str, *given: Any, **named: Any) -> Any:
        work = getattr(self._relation, name)
        return stoppable(self._con, lambda: work(*given, **named), self._timeout)


_deaf: list[threading.Thread] = []


def still_working() -> bool:
    """Whether a query goes on that was told to stop: DuckDB looks up between vectors of rows only,
    and one function of one value may take seconds. Python would wait for it at its end."""
    return any(thread.is_alive() for thread in _deaf)


def stoppable(
    con: duckdb.DuckDBPyConnection, work: Callable[[], Any], timeout: float | None = None
) -> Any:
    """Do the work of a connection such that Ctrl-C ends it at once.

    Raises KeyboardInterrupt then, and LayerhouseError where it takes more than `timeout` seconds.
    """
    if timeout is None and threading.current_thread() is not threading.main_thread():
        return work()
    done = threading.Event()
    found: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)
        done.set()

    working = threading.Thread(target=run, daemon=True)
    try:
        working.start()
        started = time.monotonic()
        while not done.wait(TICK if timeout is None else min(TICK, timeout)):
            if timeout is not None and time.monotonic() - started >= timeout:
                raise LayerhouseError(
                    f"the query was stopped after {timeout:g} s; ask for less of it, or allow it "
                    "more time"
                )
    except BaseException:
        con.interrupt()
        if not done.wait(GRACE):
            _deaf.append(working)
        raise
    if failed:
        raise failed[0]
    return found[0]
