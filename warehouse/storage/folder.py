"""A lake in a folder: a shard or record gets its name by a rename, whole and at one instant."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import (
    checksum,
    inside,
    make_folder,
    put_in_place,
    sync,
    write_text,
    write_whole,
)
from warehouse.storage.store import CATALOGUE, QUARANTINE, Draft, Shard, Store, Turn, no_lake
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Folder(Store):
    """The store of a lake whose files lie in `root` itself."""

    root: Path

    locks_reach_everyone = True

    def require(self) -> None:
        if self.root.is_file():
            raise UsageError(
                f"there is no lake at {self.root}, which is a file; what was published from a lake "
                "holds its marts alone, for DuckDB and BI tools to read"
            )
        if not self.root.is_dir():
            raise no_lake(self.root)
        known = inside(self.root, "commits").is_dir() or (self.root / CATALOGUE).exists()
        if not known and any(self.root.iterdir()):
            raise UsageError(
                f"{self.root} is not a lake: it holds other files and no commits folder; "
                "--lake or LAYERHOUSE_LAKE names another"
            )

    def commit_names(self) -> list[str]:
        return record_names(self.root)

    def look_again(self) -> None:
        """Nothing to do: they are read where they lie."""

    def receive(self, draft: Draft) -> None:
        """Nothing to do: it lies in its folder."""

    def withdraw(self, drafts: Iterable[Draft]) -> None:
        """Nothing to do: their writer removes its files."""

    def turn(self) -> Turn:
        return Turn(frozenset(self.commit_names()))

    def path(self, draft: Draft, commit_id: str) -> str:
        return f"{draft.folder}/part-{commit_id}.parquet"

    def enter(self, turn: Turn, commit_id: str, record: str, drafts: Sequence[Draft]) -> bool:
        del turn
        placed = [inside(self.root, self.path(draft, commit_id)) for draft in drafts]
        name = self.root / "commits" / f"{commit_id}.json"
        try:
            for draft, path in zip(drafts, placed, strict=True):
                put_in_place(draft.file, path)
            write_whole(name, lambda temporary: write_text(temporary, record))
        except BaseException:
            for path in (name, *placed):
                path.unlink(missing_ok=True)
            raise
        return True

    def open(self, path: str) -> Path:
        return inside(self.root, path)

    def size(self, path: str) -> int:
        return inside(self.root, path).stat().st_size

    def fetch(self, shards: Mapping[str, Sequence[Shard]]) -> None:
        """Every byte of small tables is looked at; vectors are checked page by page when read."""
        for commit_id, those in shards.items():
            for shard in those:
                inside(self.root, shard.path)  # names what leads out of the lake
                if self._problem(shard, verify=shard.table not in VECTOR_TABLES) is None:
                    continue
                raise LayerhouseError(
                    f"the shard {shard.path} of commit {commit_id} is missing or damaged; "
                    "restore it from a copy of the lake, or run `layerhouse status --repair` and "
                    "then the command again"
                )

    def scanned_by(self, con: duckdb.DuckDBPyConnection) -> str:
        del con
        return f"{self.root}/"

    def files(self) -> Iterator[tuple[str, int]]:
        return self._files(self.root, QUARANTINE)

    def quarantined(self) -> Iterator[tuple[str, int]]:
        return self._files(inside(self.root, QUARANTINE), "")

    def _files(self, top: Path, spared: str) -> Iterator[tuple[str, int]]:
        for folder, inner, names in os.walk(top):
            inner[:] = sorted(name for name in inner if name != spared)
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    yield path.relative_to(self.root).as_posix(), path.stat().st_size
                except OSError:
                    continue

    def problems(self, shards: Sequence[Shard], *, verify: bool) -> dict[str, str]:
        found = {shard.path: self._problem(shard, verify=verify) for shard in shards}
        return {path: problem for path, problem in found.items() if problem}

    def _problem(self, shard: Shard, *, verify: bool) -> str | None:
        try:
            path = inside(self.root, shard.path)
            return shard.problem(path.stat().st_size, (lambda: checksum(path)) if verify else None)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        except LayerhouseError:
            return "leads out of the lake"

    def marks(self, shards: Sequence[Shard]) -> dict[str, str]:
        return {shard.path: self._mark(shard.path) for shard in shards}

    def _mark(self, path: str) -> str:
        try:
            about = (self.root / path).lstat()
        except OSError:
            return ""
        return f"{about.st_ino} {about.st_mtime_ns} {about.st_size}"

    def delete_dead(self, path: str, age: timedelta) -> bool:
        file = inside(self.root, path)
        try:
            touched = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except FileNotFoundError:
            return False
        if datetime.now(UTC) - touched <= age:
            return False
        file.unlink(missing_ok=True)
        return True

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            inside(self.root, path).unlink(missing_ok=True)

    def delete_records(self, commit_ids: Sequence[str]) -> None:
        self.delete([f"commits/{name}.json" for name in commit_ids])

    def is_outlived(self, folder: str) -> bool:
        del folder
        return False

    def forget(self) -> None:
        """Nothing to do: it keeps no copies."""

    def set_aside(
        self, commit_id: str, shards: Sequence[Shard] | None, folder: str
    ) -> tuple[str, ...]:
        if shards is None:  # but shards are named after their commit
            found = sorted(self.root.glob(f"*/**/part-{commit_id}.parquet"))
            paths = [path.relative_to(self.root).as_posix() for path in found]
        else:
            paths = [shard.path for shard in shards]
        return self._moved([f"commits/{commit_id}.json", *paths], folder)

    def put_aside(
        self, paths: Sequence[str], folder: str, why: str, age: timedelta
    ) -> tuple[str, ...]:
        del age  # the lock is enough
        moved = self._moved(paths, folder)
        note = inside(self.root, folder) / "why.txt"
        write_whole(note, lambda temporary: write_text(temporary, f"{why}\n"))
        return moved

    def recall(self, shard: Shard) -> bool:
        for folder in sorted(inside(self.root, QUARANTINE).glob("*"), reverse=True):
            kept = f"{QUARANTINE}/{folder.name}/{shard.path}"
            if self._problem(replace(shard, path=kept), verify=True) is None:
                self._move(kept, shard.path)
                return True
        return False

    def _moved(self, paths: Iterable[str], folder: str) -> tuple[str, ...]:
        """Of the lake's files those that were there, and lie in the folder now."""
        found = [
            path
            for path in paths
            if os.path.lexists(self.root / path) and not path.startswith(QUARANTINE)
        ]
        for path in found:
            self._move(path, f"{folder}/{path}")
        return tuple(found)

    def _move(self, path: str, target: str) -> None:
        inside(self.root, str(PurePosixPath(path).parent))
        source, aim = self.root / path, inside(self.root, target)
        make_folder(aim.parent)
        source.replace(aim)
        sync(aim.parent)
        sync(source.parent)


def record_names(root: Path) -> list[str]:
    """The ids of the commits whose records lie in a folder, from its listing alone.

    Hidden files are none: macOS leaves one beside every other on disks of another kind.
    """
    folder = root / "commits"
    if not folder.is_dir():
        return []
    files = os.listdir(folder)  # noqa: PTH208 - a lake may hold very many commits
    return [name[:-5] for name in files if name.endswith(".json") and not name.startswith(".")]
