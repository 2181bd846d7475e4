"""The interactive prompt behind `layerhouse shell`.

Every query goes through the same locked, read-only door as `layerhouse sql`. A prompt that opened
the catalogue itself (DuckDB's, or a general SQL terminal) would have neither the lock nor the view
`activation`, which needs to know where the shards lie.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import click
import duckdb

from layerhouse.printing import unbroken, write_relation
from warehouse.catalogue import Warehouse, connect
from warehouse.errors import LayerhouseError, nearest
from warehouse.lake import Lake

HISTORY_LINES = 1000

HELP = """\
A query ends with a semicolon and may run over several lines; Ctrl-C drops it, Ctrl-D leaves.
.tables         tables, views and marts, with what each holds
.schema NAME    the columns of one
.timing on|off  whether to say how long a query took
.refresh        take in what was committed since the prompt was opened
.help           this page
.quit           leave"""

SUMMARY = """
SELECT table_name, comment FROM duckdb_tables()
WHERE NOT internal AND schema_name = 'main' AND database_name = 'catalog'
UNION ALL
SELECT view_name, comment FROM duckdb_views()
WHERE NOT internal AND schema_name = 'main' AND database_name = 'catalog'
ORDER BY ALL
"""

COLUMNS = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE table_name = $1 AND schema_name = 'main' AND database_name = 'catalog'
ORDER BY column_index
"""


class Shell:
    """A prompt on one lake; a context manager, so that its connection is closed."""

    def __init__(self, lake: Lake, *, timing: bool = False, **limits: Any) -> None:
        """`limits` are what `connect` takes: timeout and memory of a query."""
        self.lake = lake
        self.timing = timing
        self._limits = limits
        self.warehouse: Warehouse = connect(lake, **limits)

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.warehouse.close()

    def run(self) -> int:
        """Answer until the input ends; returns 1 where a script (no terminal) had a fault."""
        if not sys.stdin.isatty():
            return self._script(sys.stdin)
        self._edit_lines()
        click.echo(f"{self.lake}, read-only; .help says what can be typed, Ctrl-D leaves")
        buffer = ""
        while True:
            try:
                line = input("   ...> " if buffer else "layerhouse> ")
            except EOFError:
                click.echo()
                return 0
            except KeyboardInterrupt:
                click.echo()
                buffer = ""
                continue
            if not buffer and line.strip() in (".quit", ".exit"):
                return 0
            buffer = self._take(buffer, line)

    def _script(self, lines: Iterable[str]) -> int:
        """Statements from a file or pipe; the first fault ends it, as a script should."""
        buffer = ""
        for line in lines:
            buffer += line
            if self._ends(buffer) and not self._answer(buffer):
                return 1
            if self._ends(buffer):
                buffer = ""
        return 0 if not buffer.strip() or self._answer(buffer) else 1

    def _take(self, buffer: str, line: str) -> str:
        """Add a line; returns what is still waiting for its semicolon."""
        if not buffer and line.lstrip().startswith("."):
            self._command(line.split())
            return ""
        buffer = f"{buffer}{line}\n"
        if not buffer.strip():
            return ""
        if not self._ends(buffer):
            return buffer
        self._answer(buffer)
        return ""

    @staticmethod
    def _ends(buffer: str) -> bool:
        """Whether the last word is a semicolon, and not one inside a text or a comment."""
        words = [(at, kind) for at, kind in duckdb.tokenize(buffer)]
        if not words or buffer.encode()[words[-1][0] :].strip() != b";":
            return False
        return bool(words[-1][1] != duckdb.token_type.comment)

    def _answer(self, text: str) -> bool:
        """Run the statements one after the other; False where one was refused or failed."""
        try:
            statements = duckdb.extract_statements(text)
        except duckdb.Error as fault:
            return _said(str(fault))
        for statement in statements:
            started = time.monotonic()
            try:
                relation = self.warehouse.sql(statement.query)
                write_relation(relation, self._form(), sys.stdout, None)
            except (LayerhouseError, duckdb.Error) as fault:
                return _said(str(fault))
            except KeyboardInterrupt:
                return _said("stopped by the keyboard")
            if self.timing:
                click.echo(f"{time.monotonic() - started:.3f} s", err=True)
        return True

    @staticmethod
    def _form() -> str:
        return "table" if sys.stdout.isatty() else "csv"

    def _command(self, words: list[str]) -> None:
        verb, rest = words[0], words[1:]
        if verb == ".help":
            click.echo(HELP)
        elif verb == ".tables":
            write_relation(self.warehouse.sql(SUMMARY), self._form(), sys.stdout, None)
        elif verb == ".schema" and len(rest) == 1:
            self._schema(rest[0])
        elif verb == ".timing" and rest in (["on"], ["off"]):
            self.timing = rest == ["on"]
        elif verb == ".refresh":
            self.warehouse.close()
            self.warehouse = connect(self.lake, **self._limits)
        else:
            verbs = [line.split()[0] for line in HELP.splitlines() if line.startswith(".")]
            _said(f"{' '.join(words)} is not understood{nearest(verb, verbs)}; .help lists all")

    def _schema(self, name: str) -> None:
        relation = self.warehouse.sql(COLUMNS, [name])
        if not relation.fetchall():
            _said(f"there is no table {name}{nearest(name, self._names())}")
            return
        write_relation(self.warehouse.sql(COLUMNS, [name]), self._form(), sys.stdout, None)

    def _names(self) -> list[str]:
        return [name for name, _ in self.warehouse.sql(SUMMARY).fetchall()]

    def _edit_lines(self) -> None:
        """Arrow keys, a history over sessions and names on Tab, where Python has readline."""
        try:
            import readline
        except ImportError:  # Python on Windows is built without it
            return
        history = _history()
        if history.exists():
            readline.read_history_file(history)
        readline.set_history_length(HISTORY_LINES)
        atexit.register(_keep_history, readline, history)
        names = sorted({*self._names(), *_macros(self.warehouse)})

        def complete(text: str, state: int) -> str | None:
            found = [name for name in names if name.startswith(text)]
            return found[state] if state < len(found) else None

        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")


def _macros(warehouse: Warehouse) -> list[str]:
    rows = warehouse.sql("SELECT function_name FROM duckdb_functions() WHERE NOT internal")
    return [name for (name,) in rows.fetchall()]


def _history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "layerhouse" / "history"


def _keep_history(readline: ModuleType, path: Path) -> None:
    """A history that cannot be kept is no reason to end with an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        readline.write_history_file(path)
    except OSError:
        return


def _said(fault: str) -> bool:
    """Report a fault on stderr; always False, for callers to return."""
    stream = unbroken(sys.stderr) if "\n" in fault.strip() else sys.stderr
    click.echo(f"Error: {fault.strip()}", file=stream)
    return False
