"""Where one warehouse keeps its files."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import LayerhouseError, UsageError

if TYPE_CHECKING:
    from warehouse.storage.byte_ranges import ObjectReader
    from warehouse.storage.mirror import Position
    from warehouse.storage.objects import Objects

DEFAULT_LAKE = "lakehouse"

_MISREAD = re.compile(r"[*?\\]|(?:^|/)(?:model|dataset|module)=")


@dataclass(frozen=True)
class Lake:
    """The folder that holds all data of one warehouse; it need not exist yet.

    With a `url` the data lie in a bucket, and `root` is what this machine keeps of them: catalogue,
    locks, copies of the commit records and of the small tables' shards.
    """

    root: Path
    url: str | None = None

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
        text = os.fspath(chosen)
        if "://" in text:
            from warehouse.storage.objects import local_path, mirror_folder

            folder = local_path(text)
            if folder is None:
                url = _readable(text.rstrip("/"))
                return cls(mirror_folder(url), url)
            text = folder
        return cls(Path(_readable(str(Path(text).expanduser().resolve()))))

    def __str__(self) -> str:
        """As a person calls it."""
        return self.url or str(self.root)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return str(self).rpartition("/")[2]

    @property
    def remote(self) -> "Objects | None":
        """The bucket that holds the data; None where they lie in the folder itself."""
        if self.url is None:
            return None
        from warehouse.storage.objects import objects_at

        return objects_at(self.url)

    def shard(self, path: str) -> "Path | ObjectReader":
        """A shard as pyarrow reads it: by its path, or open in the bucket."""
        if self.remote is None:
            return self.root / path
        from warehouse.storage.byte_ranges import ObjectReader

        return ObjectReader(self.remote, path)

    def follow(self) -> "Position | None":
        """Take in what other machines committed to a bucket; nothing to do for a folder.

        Raises LayerhouseError where the bucket cannot be reached or does not exist.
        """
        if self.remote is None:
            return None
        from warehouse.storage.mirror import follow

        return follow(self.root, self.remote)

    @property
    def catalogue(self) -> Path:
        return self.root / "catalog.duckdb"

    @property
    def commits_dir(self) -> Path:
        return self.root / "commits"

    def create(self) -> "Lake":
        """Make the folders if needed. Raises LayerhouseError where that cannot be done."""
        try:
            self.commits_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayerhouseError(
                f"cannot create the lake {self.root}: {error.strerror}"
            ) from error
        return self

    def require(self) -> None:
        """Raise UsageError unless the folder is a lake, or empty and thus fit to become one.

        A bucket has no empty folders: there is a lake where there is a commit.
        """
        if self.remote is not None:
            self._require_commits()
            return
        if not self.root.is_dir():
            raise UsageError(
                f"there is no lake at {self.root}; `layerhouse demo` or `layerhouse extract` makes "
                "one, and --lake or LAYERHOUSE_LAKE names another"
            )
        if self.commits_dir.is_dir() or self.catalogue.exists() or not any(self.root.iterdir()):
            return
        raise UsageError(
            f"{self.root} is not a lake: it holds other files and no commits folder; "
            "--lake or LAYERHOUSE_LAKE names another"
        )

    def _require_commits(self) -> None:
        position = self.follow()
        if position is not None and position.is_empty:
            raise UsageError(
                f"there is no lake at {self}; `layerhouse demo` or `layerhouse extract` makes one, "
                "and --lake or LAYERHOUSE_LAKE names another"
            )


def _readable(text: str) -> str:
    if _MISREAD.search(text):
        raise UsageError(
            f"a lake cannot lie at {text}: DuckDB reads *, ? and \\ in a path as wildcards and "
            "a folder named model=…, dataset=… or module=… as a partition"
        )
    return text
