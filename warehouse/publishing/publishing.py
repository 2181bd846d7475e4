"""The marts as files that BI tools read: DuckDB in an older format, Parquet and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import duckdb

from warehouse import files
from warehouse.catalogue import current, lock_down, open_blank, unbuilt_said
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake
from warehouse.publishing.patients import source_of
from warehouse.publishing.stamp import (
    COLUMNS,
    COMMENT,
    FILE,
    TABLE,
    Stamp,
    holds_marts,
    in_file,
    in_folder,
    of_lake,
)
from warehouse.schema import identifier, quoted

Writer = Callable[[Path], None]
"""Writes one file under the path it is given."""

STORAGE_VERSION = "v1.4.0"
"""Read by DuckDB 1.4, 1.5 and 2.0; many BI clients still bring a 1.x."""

DATABASE = "marts.duckdb"
OTHER_KINDS = (".csv", ".db", ".ddb", ".html", ".json", ".parquet", ".sqlite", ".xlsx", ".zip")
"""Endings by which somebody asks for one file, which a folder would be called."""
FORMS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}


def publish(lake: Lake, out: Path, *, patients: bool = False) -> list[Path]:
    """Write the marts to `out`; returns the files written, none where they are up to date.

    Group ids, paths and the samples' own ids are left out unless `patients` asks for them.

    A name that ends in .duckdb becomes one DuckDB file; any other is a folder that gets the same
    file, every mart as Parquet and CSV, and build.json. Each file appears whole or not at all, and
    readers of an older one keep it. Of a folder only the marts that changed are written again.
    Raises UsageError for a target that is something else, LayerhouseError for one that cannot be
    written or is open for writing elsewhere.
    """
    single = _is_file(out)
    lake.refuse_own(out)
    _refuse_other_kinds(out, single=single)
    try:
        folder = (out.parent if single else out).absolute()
        with _marts(lake, patients, folder) as (con, stamp):
            if not _pending(con, stamp, out, patients):
                _refuse_unbuilt(con, out)
                return []
        folder.mkdir(parents=True, exist_ok=True)
        # One publication at a time writes to a target, each the lake as it is at its turn.
        with (
            files.passing_lock(folder / f".{out.name}.lock"),
            _marts(lake, patients, folder) as (con, stamp),
        ):
            writers = _pending(con, stamp, out, patients)
            if writers and not single:
                _withdraw(stamp, out)
            for path, write in writers.items():
                files.write_at_once(path, write, durably=True)
            _refuse_unbuilt(con, out)
            return list(writers)
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise LayerhouseError(f"cannot publish to {out}: {reason}") from error


def _refuse_unbuilt(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Raise LayerhouseError for a mart that could not be built; the others are published then."""
    lacking = con.execute(
        "SELECT name, reason FROM lake.unbuilt_view WHERE starts_with(name, 'mart_') ORDER BY ALL"
    ).fetchall()
    for name, reason in lacking:
        raise LayerhouseError(f"{unbuilt_said(name, reason)}; {out} holds the other marts")


def _is_file(out: Path) -> bool:
    return out.suffix.lower() == ".duckdb"


def _refuse_other_kinds(out: Path, *, single: bool) -> None:
    if single and out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, or a folder without .duckdb at its end")
    if not single and out.is_file():
        raise UsageError(f"{out} is a file; name a folder, or a file that ends in .duckdb")
    if not single and out.suffix.lower() in OTHER_KINDS and not out.is_dir():
        raise UsageError(
            f"{out} is called as a file of another kind than is written; name a folder, which gets "
            "CSV, Parquet and DuckDB files, or a file that ends in .duckdb"
        )


def _pending(
    con: duckdb.DuckDBPyConnection, stamp: Stamp, out: Path, patients: bool
) -> dict[Path, Writer]:
    """What writes each file that is missing or out of date, in the order to write them in."""
    single = _is_file(out)
    sources = {name: source_of(con, name, patients=patients) for name in stamp.marts}
    database = out if single else out / DATABASE
    in_database = in_file(con, database)
    writers: dict[Path, Writer] = {}
    is_current = in_database is not None and in_database.state == stamp.state
    if not (is_current and holds_marts(con, database, sources)):
        writers[database] = lambda path: _write_database(con, stamp, sources, path)
    if single:
        return writers
    held = in_folder(out)
    for name, mart in stamp.marts.items():
        is_same = held is not None and held.marts.get(name) == mart
        for kind, options in FORMS.items():
            path = out / f"{name}.{kind}"
            if not (is_same and _is_as_published(path, held)):
                source = sources[name] if kind != "csv" else _for_sheets(con, sources[name])
                writers[path] = _copying(con, source, options)
    if writers or held is None or held.state != stamp.state:
        # The stamp comes last: it says that the rest is there.
        writers[out / FILE] = lambda path: files.write_text(path, _with_files(stamp, out).json())
    return writers


def _is_as_published(path: Path, held: Stamp | None) -> bool:
    """Whether nobody has changed a mart's file since its folder was stamped."""
    said = None if held is None else held.files.get(path.name)
    return said is not None and path.is_file() and files.checksum(path) == said


def _with_files(stamp: Stamp, out: Path) -> Stamp:
    names = [f"{mart}.{kind}" for mart in stamp.marts for kind in FORMS]
    return replace(stamp, files={name: files.checksum(out / name) for name in names})


def _for_sheets(con: duckdb.DuckDBPyConnection, source: str) -> str:
    """Texts that a spreadsheet would take for formulas begin with an apostrophe there."""
    described = con.execute(f"DESCRIBE FROM {source}").fetchall()
    texts = [identifier(name) for name, kind, *_ in described if kind == "VARCHAR"]
    formula = "^[=+@\t\r-]"
    safe = ", ".join(
        f"if(regexp_matches({c}, {quoted(formula)}), chr(39) || {c}, {c}) AS {c}" for c in texts
    )
    return f"(SELECT * REPLACE ({safe}) FROM {source})" if safe else source


def _withdraw(stamp: Stamp, out: Path) -> None:
    """Files of two states may lie side by side from here on, and no stamp must vouch for them.

    After a publication that was killed then, the next writes everything anew. Marts that are
    defined no longer go, as nothing will name them any more.
    """
    held = in_folder(out)
    for name in set(held.marts if held else ()) - set(stamp.marts):
        for kind in FORMS:
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    (out / FILE).unlink(missing_ok=True)


@contextmanager
def _marts(
    lake: Lake, patients: bool, folder: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Stamp]]:
    """A connection with the catalogue attached as `lake`, and what it would publish.

    It reaches nothing but the folder that is published to: a file that lies there already, and a
    catalogue, may be anybody's.
    """
    lake = current(lake)
    with open_blank() as con:
        try:
            con.execute(f"ATTACH {quoted(str(lake.catalogue))} AS lake (READ_ONLY)")
        except duckdb.Error as error:
            raise LayerhouseError(f"cannot read {lake.catalogue}: {_first_line(error)}") from error
        lock_down(con, str(folder))
        yield con, of_lake(con, patients=patients)


def _copying(con: duckdb.DuckDBPyConnection, source: str, options: str) -> Writer:
    """Ordered, so that equal marts become equal files."""

    def write(path: Path) -> None:
        target = f"{quoted(str(path))} ({options}, USE_TMP_FILE false)"  # path is one already
        con.execute(f"COPY (FROM {source} ORDER BY ALL) TO {target}")

    return write


def _write_database(
    con: duckdb.DuckDBPyConnection, stamp: Stamp, sources: Mapping[str, str], path: Path
) -> None:
    path.unlink()  # DuckDB makes its files itself
    con.execute(f"ATTACH {quoted(str(path))} AS out (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        con.begin()  # one transaction: each by itself would sync the file hundreds of times
        for mart, source in sources.items():
            con.execute(f'CREATE TABLE out."{mart}" AS FROM {source} ORDER BY ALL')
            _copy_comments(con, mart)
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        con.execute(f"CREATE TABLE out.{TABLE} ({columns})")
        places = ", ".join("?" for _ in COLUMNS)
        for row in stamp.rows():
            con.execute(f"INSERT INTO out.{TABLE} VALUES ({places})", row)
        con.execute(f"COMMENT ON TABLE out.{TABLE} IS {quoted(COMMENT)}")
        for name, (_, comment) in COLUMNS.items():
            con.execute(f"COMMENT ON COLUMN out.{TABLE}.{name} IS {quoted(comment)}")
        con.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed is rolled back already
            con.rollback()
        raise
    finally:
        con.execute("DETACH out")
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def _copy_comments(con: duckdb.DuckDBPyConnection, mart: str) -> None:
    """BI tools show them as descriptions."""
    comment = con.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = ?",
        [mart],
    ).fetchone()
    if comment and comment[0] is not None:
        con.execute(f'COMMENT ON TABLE out."{mart}" IS {quoted(comment[0])}')
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'lake' AND table_name = ? AND comment IS NOT NULL",
        [mart],
    ).fetchall()
    for name, text in columns:
        con.execute(f'COMMENT ON COLUMN out."{mart}".{identifier(name)} IS {quoted(text)}')


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
