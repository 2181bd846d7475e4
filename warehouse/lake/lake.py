"""Where one warehouse keeps its files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import file_lock, inside, refuse_own_files
from warehouse.storage import CATALOGUE, QUARANTINE, Store, located, mirror_folder, store_at

DEFAULT_LAKE = "lakehouse"


@dataclass(frozen=True)
class Lake:
    """The folder that holds all data of one warehouse; it need not exist yet.

    With a `url` the data lie in a bucket, and `root` is what this machine keeps of them: catalogue,
    locks, copies of the commit records and of the small tables' shards.
    """

    root: Path
    url: str | None = None
    desk: Path | None = None
    """Where this reader keeps a catalogue of its own, of a lake that it may not write to."""

    @classmethod
    def at(cls, path: "str | os.PathLike[str] | Lake | None" = None) -> "Lake":
        """The lake at `path`; without one at $LAYERHOUSE_LAKE, and without that ./lakehouse.

        A path may be a URL: s3://bucket/prefix, gs://bucket/prefix, file:///path. The root is
        absolute, so that a later change of the working directory changes nothing. Raises UsageError
        for a path that DuckDB would not take by its letters and for a URL of another kind.
        """
        if isinstance(path, Lake):
            return path
        chosen = path if path is not None else os.environ.get("LAYERHOUSE_LAKE") or DEFAULT_LAKE
        return cls(*located(os.fspath(chosen)))

    def __str__(self) -> str:
        """As a person calls it."""
        return self.url or str(self.root)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return str(self).rpartition("/")[2]

    @property
    def store(self) -> Store:
        """Where its files lie."""
        return store_at(self.root, self.url)

    @property
    def own(self) -> Path:
        """The folder of the catalogue, and of what else can be made anew at any time."""
        return self.desk or self.root

    @property
    def catalogue(self) -> Path:
        return self.own / CATALOGUE

    def at_desk(self) -> "Lake":
        """The same lake with its catalogue in this user's cache folder."""
        return replace(self, desk=mirror_folder(str(self.root)))

    @property
    def commits_dir(self) -> Path:
        return self.root / "commits"

    def create(self) -> "Lake":
        """Make the folders if needed. Raises LayerhouseError where that cannot be done, and where
        this user may only read them."""
        try:
            inside(self.root, "commits").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayerhouseError(
                f"cannot create the lake {self.root}: {error.strerror}"
            ) from error
        if not os.access(self.commits_dir, os.W_OK, effective_ids=True):
            raise LayerhouseError(
                f"the lake {self.root} may only be read by you; give a copy of it in a folder that "
                "you may write to"
            )
        return self

    def require(self) -> None:
        """Raise UsageError unless there is a lake, or an empty folder and thus fit to become one.

        Raises LayerhouseError where a bucket cannot be reached or does not exist.
        """
        self.store.require()

    def refuse_own(self, out: Path) -> None:
        """Raise UsageError where a result would be written over a file of the lake itself."""
        from warehouse.schema import tables  # which needs DuckDB; to name a lake needs none

        own = {"commits", QUARANTINE, "verified.json", "images.seen", *tables()}
        refuse_own_files(self.root, own, out)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Hold the lock under which commits are made and taken out."""
        with file_lock(self.create().commits_dir / "lock"):
            yield

    def lock_file(self, work: str, *names: str) -> Path:
        """The file whose locks say who is at which work on what is so named."""
        mark = blake2b("\0".join(names).encode(), digest_size=6).hexdigest()
        return self.create().commits_dir / f"{work}-{mark}.lock"
