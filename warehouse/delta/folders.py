"""Where a table's Delta log lies: in the table's own folder, the only place that the format knows,
beside the files of rows that are in no shard as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import inside
from warehouse.lake import Lake
from warehouse.schema import tables
from warehouse.storage import DELTA_LOG, DELTA_ROWS

ENCODED = re.compile(r"[^!-~]|[\"#<>?`{}]")
"""What deltalake writes otherwise in the path of a folder, by which Polars then finds nothing."""


def refuse_place(lake: Lake) -> None:
    """Raise UsageError for a lake whose tables deltalake cannot name."""
    if lake.url is not None:
        raise UsageError(
            f"Delta logs are written for lakes in folders, and {lake} is in a bucket; "
            "`layerhouse publish` writes its marts as Parquet, which every reader takes"
        )
    if "%" in str(lake.root):
        raise UsageError(
            f"deltalake cannot name tables in {lake.root}, as a % is in the path; move the lake to "
            "a folder without one"
        )


def unread_by_polars(lake: Lake) -> str | None:
    """What in the path of a lake keeps Polars from reading its Delta tables, if anything does."""
    if found := ENCODED.search(str(lake.root)):
        return f"a {found[0]!r}"
    return "a folder named like a partition" if "=" in str(lake.root) else None


def table_folder(lake: Lake, table: str) -> Path:
    """Raises LayerhouseError where a link leads elsewhere, as deltalake would follow it."""
    return inside(lake.root, f"{table}/{DELTA_LOG}").parent


def logged(lake: Lake) -> list[str]:
    """The tables that have a Delta log."""
    if lake.url is not None:
        return []
    return [table for table in tables() if (lake.root / table / DELTA_LOG).is_dir()]


def remove(lake: Lake, chosen: Iterable[str]) -> list[str]:
    """Delete the Delta logs of tables, and the files that only they name; returns which had one.

    Raises UsageError for a lake in a bucket, LayerhouseError where a file cannot be deleted.
    """
    if lake.url is not None:
        refuse_place(lake)
    lake.require()
    gone = [table for table in chosen if table in logged(lake)]
    for table in gone:
        for name in (DELTA_LOG, DELTA_ROWS):
            _delete(inside(lake.root, f"{table}/{name}"))
    return gone


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LayerhouseError(
            f"cannot delete {error.filename or folder}: {error.strerror}; give the command again "
            "once it may be deleted"
        ) from error


def partition_values(path: str) -> dict[str, str]:
    """What the folders of a shard's path say, by the folders' own names."""
    parts = [part.partition("=") for part in path.split("/")[1:-1]]
    return {name: unquote(value) for name, _, value in parts}
