"""Whether the catalogue holds what its lake holds: the rows, and views that know them.

Of what it takes to bring a catalogue up to date after a commit, four fifths go into views, and most
commands ask tables alone. So the tables go ahead, and the views follow when somebody asks for them.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack

import duckdb

from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.soundness import catalogue_is_sound
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, commit_hash
from warehouse.schema import migrations, pending


def is_current(lake: Lake, *, views: bool = True) -> bool:
    con = opened_if_current(lake, views=views)
    if con is not None:
        con.close()
    return con is not None


def opened_if_current(
    lake: Lake, memory: str | None = None, *, views: bool = True
) -> duckdb.DuckDBPyConnection | None:
    """The catalogue, if it holds exactly the lake's commits and, where `views` are wanted, those of
    this Layerhouse's SQL with all that they show."""
    with ExitStack() as opened:
        try:
            if not lake.catalogue.exists() or not catalogue_is_sound(lake):
                return None
            con = opened.enter_context(open_catalogue(lake, memory))
            if (
                not pending(con, migrations(), lake.catalogue)
                and not (views and tables_ahead(con) != frozenset())
                and _files(con) == set(lake.store.commit_names())
                and not rewritten(con, lake, record_dates(lake))
            ):
                opened.pop_all()
                return con
        except OSError:  # a file that cannot be read is as good as none
            return None
        except duckdb.Error as error:
            if "could not set lock" in str(error).lower():  # a damaged "block" is no lock
                raise LayerhouseError(
                    f"{lake.catalogue} is open for writing elsewhere; close that program: "
                    "the catalogue is only ever read, and rebuilt from the shards"
                ) from error
    return None


def tables_ahead(con: duckdb.DuckDBPyConnection) -> frozenset[str] | None:
    """The tables with rows that the views do not know yet; None where there are no views, or those
    of other SQL."""
    built = con.execute("SELECT sql_hash FROM catalogue_build").fetchall()
    noted = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'stored' AND table_name = 'ahead'"
    if built != [(SHIPPED.hash,)] or not con.execute(noted).fetchall():
        return None
    return frozenset(name for (name,) in con.execute("FROM stored.ahead").fetchall())


def stamp(
    con: duckdb.DuckDBPyConnection, dates: Mapping[str, int], ahead: frozenset[str] | None
) -> None:
    """Note what the catalogue was filled from, and leave everything in its one file.

    `dates` are those that the records had before they were read; `ahead` is what `tables_ahead`
    will say.
    """
    con.execute("DELETE FROM record_file")
    con.execute(
        "INSERT INTO record_file SELECT unnest($1::TEXT[]), unnest($2::BIGINT[])",
        [list(dates), list(dates.values())],
    )
    con.execute("DELETE FROM catalogue_build")
    if ahead is not None:
        con.execute(
            "INSERT INTO catalogue_build VALUES (?, version(), now()::TIMESTAMP)", [SHIPPED.hash]
        )
        con.execute(
            "CREATE OR REPLACE TABLE stored.ahead AS SELECT unnest($1::TEXT[]) AS table_name",
            [sorted(ahead)],
        )
    con.execute("CHECKPOINT")


def _files(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The records that lay in the lake when it was built, of commits that count and of others."""
    return {row[0] for row in con.execute("SELECT commit_id FROM record_file").fetchall()}


def held(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By id the hashes of the records that it took in."""
    rows = con.execute(
        "SELECT commit_id, hash FROM commit_record WHERE joined_by IS NULL "
        "UNION ALL SELECT commit_id, hash FROM compaction"
    ).fetchall()
    return dict(rows)


def rewritten(con: duckdb.DuckDBPyConnection, lake: Lake, dates: Mapping[str, int]) -> bool:
    """Whether a commit record has other contents than when the catalogue took it in.

    That happens when one was deleted and its run done again. Only records with another date than
    they had then are read; in a copied lake these may be all.
    """
    noted = dict(con.execute("SELECT commit_id, modified_ns FROM record_file").fetchall())
    changed = {name for name, date in dates.items() if noted.get(name) != date}
    if not changed:
        return False
    known = held(con).items()
    return any(commit_hash(lake, name) != hash_ for name, hash_ in known if name in changed)


def record_dates(lake: Lake) -> dict[str, int]:
    """When the file of each commit record was last written, in ns."""
    if not lake.commits_dir.is_dir():
        return {}
    with os.scandir(lake.commits_dir) as entries:
        return {
            entry.name.removesuffix(".json"): entry.stat(follow_symlinks=False).st_mtime_ns
            for entry in entries
            if entry.name.endswith(".json")
        }
