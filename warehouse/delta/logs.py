"""One table's Delta log, read and written by delta-rs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from warehouse.delta.contents import DataFile, stored_schema
from warehouse.errors import LayerhouseError
from warehouse.schema import PARTITIONS
from warehouse.storage import DELTA_LOG

if TYPE_CHECKING:
    from deltalake import DeltaTable, Schema

STATE = "layerhouse"
"""Under this name each version says which state of the lake it shows."""

KEPT = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
"""Versions stay until somebody deletes the log, and VACUUM, which would delete the lake's own files
as ones that no version names, takes none unless it is told a time of its own."""

ABOUT = (
    "A table of a Layerhouse lake. The log is derived from the lake's commits: what is written to "
    "it is undone; VACUUM with a time of its own would delete the lake's files."
)

_PLAIN = r"string|bool|int8|int16|int32|int64|float|double|date32\[day\]|timestamp\[us\]"
_TYPES = re.compile(rf"{_PLAIN}|list<\w+: (?:{_PLAIN})>")
"""Arrow's names of what Delta has too; of others deltalake makes the next wider one, which is not
what the files hold."""


class MissingError(LayerhouseError):
    """deltalake is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "Delta logs need deltalake, which is not installed; install it with: "
            "pip install 'layerhouse[delta]'"
        )


@dataclass(frozen=True)
class Log:
    """The Delta log of the table in a folder."""

    folder: Path
    table: str

    @property
    def exists(self) -> bool:
        """Whether it has a version; a writer that was stopped may leave a folder without any."""
        return any((self.folder / DELTA_LOG).glob("*.json"))

    @property
    def state(self) -> str | None:
        """That of the lake which its newest version says it shows; None where it does not say."""
        names = sorted(path.name for path in (self.folder / DELTA_LOG).glob("*.json"))
        try:
            with (self.folder / DELTA_LOG / names[-1]).open(encoding="utf-8") as lines:
                said = [json.loads(line) for line in lines if '"commitInfo"' in line[:16]]
            return str(said[0]["commitInfo"][STATE])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    @cached_property
    def partitions(self) -> list[str]:
        return list(PARTITIONS.get(self.table, {}))

    @cached_property
    def schema(self) -> Schema:
        return delta_schema(self.table)

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """deltalake's errors as ours."""
        try:
            from deltalake.exceptions import DeltaError
            from deltalake.transaction import RemoveAction as RemoveAction
        except ImportError as error:
            raise MissingError from error
        try:
            yield
        except (DeltaError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            raise LayerhouseError(
                f"the Delta log of {self.table} in {self.folder} cannot be brought up to date "
                f"({said}); `layerhouse delta --table {self.table} --remove` deletes it, and "
                "without --remove it is written anew"
            ) from error

    def _opened(self) -> DeltaTable:
        from deltalake import DeltaTable

        return DeltaTable(str(self.folder))

    def version(self) -> int:
        """Raises LayerhouseError for a log that cannot be read."""
        with self._spoken():
            return self._opened().version()

    def files(self) -> dict[str, tuple[int, int | None]]:
        """By path in the table's folder the bytes and rows of the files that the newest version
        names. Raises LayerhouseError for a log that cannot be read."""
        with self._spoken():
            return _files(self._opened())

    def show(self, files: Mapping[str, DataFile], state: str) -> int:
        """Let the newest version name just these files, in one transaction; returns its number.

        Raises LayerhouseError where the log cannot be read or written, MissingError without
        deltalake.
        """
        with self._spoken():
            if not self.exists:
                self._create(files, state)
                return 0
            opened = self._opened()
            if set(opened.metadata().partition_columns) != set(self.partitions):
                raise ValueError("its partitions are others")
            known = {field.name for field in opened.schema().fields}
            if new := [field for field in self.schema.fields if field.name not in known]:
                opened.alter.add_columns(new)
                opened.update_incremental()
            self._bring(opened, files, state)
            opened.update_incremental()
            return opened.version()

    def _create(self, files: Mapping[str, DataFile], state: str) -> None:
        from deltalake.transaction import CommitProperties, create_table_with_add_actions

        create_table_with_add_actions(
            str(self.folder),
            self.schema,
            list(map(_added, files.values())),
            mode="error",
            partition_by=self.partitions,
            name=self.table,
            description=ABOUT,
            configuration=KEPT,
            commit_properties=CommitProperties(custom_metadata={STATE: state}),
        )

    def _bring(self, opened: DeltaTable, files: Mapping[str, DataFile], state: str) -> None:
        from deltalake.transaction import CommitProperties, RemoveAction

        held, now = _files(opened), int(time() * 1000)
        actions: list[Any] = [
            _added(one) for path, one in files.items() if held.get(path) != (one.bytes, one.rows)
        ]
        for path in held.keys() - files.keys():
            actions.append(RemoveAction(path, True, now, held[path][0], None))
        opened.create_write_transaction(
            actions,
            "append",
            self.schema,
            self.partitions,
            commit_properties=CommitProperties(custom_metadata={STATE: state}),
        )


def delta_schema(table: str) -> Schema:
    """A table's columns as Delta has them: first those that its folders name, as these are called.

    Polars finds their values by the folders' names and not in the log, so that they are `model`
    where the catalogue has `model_id`. Raises LayerhouseError for a column that Delta has no type
    for.
    """
    import pyarrow as pa
    from deltalake import Field, Schema

    folders = [pa.field(name, pa.string()) for name in PARTITIONS.get(table, {})]
    fields = []
    for column in [*folders, *stored_schema(table)]:
        if not _TYPES.fullmatch(str(column.type)):
            raise LayerhouseError(
                f"the column {column.name} of {table} is of the type {column.type}, which Delta "
                "does not have; name the other tables with --table"
            )
        fields.append(Field.from_arrow(column))
    return Schema(fields)


def _files(opened: DeltaTable) -> dict[str, tuple[int, int | None]]:
    import pyarrow as pa

    held = pa.table(opened.get_add_actions(flatten=True)).to_pydict()
    rows = held.get("num_records", [None] * len(held["path"]))
    return {
        unquote(path): (size, n)
        for path, size, n in zip(held["path"], held["size_bytes"], rows, strict=True)
    }


def _added(file: DataFile) -> Any:
    from deltalake.transaction import AddAction

    stats = json.dumps({"numRecords": file.rows})
    return AddAction(file.path, file.bytes, file.values, int(time() * 1000), True, stats)
