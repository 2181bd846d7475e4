"""The interactive prompt behind `layerhouse shell`.

Every query goes through the same locked, read-only door as `layerhouse sql`. A prompt that opened
the catalogue itself (DuckDB's, or a general SQL terminal) would have neither the lock nor the view
`activation`, which needs to know where the shards lie.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import click
import duckdb

from layerhouse.printing import FORM_OF, unbroken, write_relation
from warehouse.catalogue import Rows, Warehouse, connect, still_working
from warehouse.errors import LayerhouseError, nearest
from warehouse.lake import Lake

HISTORY_LINES = 1000

HELP = """\
A query ends with a semicolon and may run over several lines; Ctrl-C drops it, Ctrl-D leaves.
.tables         tables, views and marts, with what each holds
.schema NAME    what one holds, and each of its columns
\\x              each row on lines of its own; again: side by side where they fit
.export FILE    write the last result to a .csv, .parquet, .json or .md; .export! writes over a file
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

COMMENT = f"SELECT comment FROM ({SUMMARY}) WHERE table_name = $1"

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
        self.timing, self.vertical = timing, False
        self._last: Rows | None = None
        self._keep_history: Callable[[], None] = lambda: None
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
        self._keep_history()
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
            if not buffer.strip() and _is_command(line):
                if not self._command(line):
                    return 1
                continue
            buffer += line
            if self._ends(buffer) and not self._answer(buffer):
                return 1
            if self._ends(buffer):
                buffer = ""
        return 0 if not buffer.strip() or self._answer(buffer) else 1

    def _take(self, buffer: str, line: str) -> str:
        """Add a line; returns what is still waiting for its semicolon."""
        if not buffer and _is_command(line):
            self._command(line)
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
            self._last = None
            return _said(str(fault))
        for statement in statements:
            started, self._last = time.monotonic(), None
            try:
                relation = self.warehouse.sql(statement.query)
                self._show(relation)
                self._last = relation
            except (LayerhouseError, duckdb.Error) as fault:
                return _said(str(fault))
            except KeyboardInterrupt:
                self._begin_anew_if_busy()
                return _said("stopped by the keyboard")
            if self.timing:
                click.echo(f"{time.monotonic() - started:.3f} s", err=True)
        return True

    def _begin_anew_if_busy(self) -> None:
        """A query that does not stop keeps its connection, so others get a new one."""
        if still_working():
            self._open()

    def _open(self) -> None:
        self.warehouse.close()
        self.warehouse, self._last = connect(self.lake, **self._limits), None

    def _show(self, relation: Rows) -> None:
        form = "vertical" if self.vertical else "table" if sys.stdout.isatty() else "csv"
        write_relation(relation, form, sys.stdout, None)

    def _command(self, line: str) -> bool:
        """What begins with a dot, or \\x; False where it was not understood or refused."""
        verb, *rest = line.split(maxsplit=1)
        given = rest[0].strip().rstrip(";") if rest else ""
        if verb == ".help":
            click.echo(HELP)
        elif verb == ".tables":
            self._show(self.warehouse.sql(SUMMARY))
        elif verb == ".schema" and given:
            return self._schema(given)
        elif verb in ("\\x", ".x"):
            self.vertical = not self.vertical
            how = "on lines of its own" if self.vertical else "side by side with others"
            click.echo(f"each row {how}{'' if self.vertical else ' where they fit'}", err=True)
        elif verb in (".export", ".export!") and given:
            return self._export(Path(given.strip("\"'")).expanduser(), over=verb.endswith("!"))
        elif verb == ".timing" and given in ("on", "off"):
            self.timing = given == "on"
        elif verb == ".refresh":
            self._open()
        else:
            verbs = [line.split()[0] for line in HELP.splitlines() if line[0] in ".\\"]
            return _said(f"{line.strip()} is not understood{nearest(verb, verbs)}; .help lists all")
        return True

    def _schema(self, name: str) -> bool:
        if not self.warehouse.sql(COLUMNS, [name]).fetchall():
            return _said(f"there is no table {name}{nearest(name, self._names())}")
        for (comment,) in self.warehouse.sql(COMMENT, [name]).fetchall():
            click.echo(f"{name}: {comment}" if comment else name, err=not sys.stdout.isatty())
        self._show(self.warehouse.sql(COLUMNS, [name]))
        return True

    def _export(self, out: Path, *, over: bool) -> bool:
        """Write the last result, which is asked for once more: of the same state of the lake."""
        form = FORM_OF.get(out.suffix.lower())
        if self._last is None:
            return _said("there is no result to export yet; ask for one first")
        if form is None:
            return _said(f"{out} says not how it is to be written; call it {' or '.join(FORM_OF)}")
        if out.exists() and not over:
            return _said(f"{out} is there already; .export! {out} writes over it")
        try:
            self.lake.refuse_own(out)
            write_relation(self._last, form, sys.stdout, out)
        except (LayerhouseError, duckdb.Error) as fault:
            return _said(str(fault))
        except KeyboardInterrupt:
            self._begin_anew_if_busy()
            return _said(f"stopped by the keyboard; {out} was not written")
        click.echo(f"wrote {out}", err=True)
        return True

    def _names(self) -> list[str]:
        return [name for name, _ in self.warehouse.sql(SUMMARY).fetchall()]

    def _edit_lines(self) -> None:
        """Arrow keys, a history over sessions and names on Tab, where Python has readline."""
        try:
            import readline
        except ImportError:  # Python on Windows is built without it
            return
        history = _history()
        with suppress(OSError):  # none yet, or one of a stranger
            readline.read_history_file(history)
        readline.set_history_length(HISTORY_LINES)
        self._keep_history = partial(_keep_history, readline, history)
        names = sorted({*self._names(), *_macros(self.warehouse)})

        def complete(text: str, state: int) -> str | None:
            found = [name for name in names if name.startswith(text)]
            return found[state] if state < len(found) else None

        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")


def _is_command(line: str) -> bool:
    return line.lstrip().startswith((".", "\\"))


def _macros(warehouse: Warehouse) -> list[str]:
    rows = warehouse.sql("SELECT function_name FROM duckdb_functions() WHERE NOT internal")
    return [name for (name,) in rows.fetchall()]


def _history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "layerhouse" / "history"


def _keep_history(readline: ModuleType, path: Path) -> None:
    """A history that cannot be kept is no reason to end with an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.chmod(0o600)  # what was asked may name patients
        readline.write_history_file(path)
    except OSError:
        return


def _said(fault: str) -> bool:
    """Report a fault on stderr; always False, for callers to return."""
    stream = unbroken(sys.stderr) if "\n" in fault.strip() else sys.stderr
    click.echo(f"Error: {fault.strip()}", file=stream)
    return False
