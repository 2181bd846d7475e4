"""Where one warehouse keeps its files."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import LayerhouseError, UsageError

DEFAULT_LAKE = "lakehouse"

_MISREAD = re.compile(r"[*?\\]|(?:^|/)(?:model|dataset|module)=")


@dataclass(frozen=True)
class Lake:
    """The folder that holds all data of one warehouse; it need not exist yet."""

    root: Path

    @classmethod
    def at(cls, path: "str | os.PathLike[str] | Lake | None" = None) -> "Lake":
        """The lake at `path`; without one at $LAYERHOUSE_LAKE, and without that ./lakehouse.

        The root is absolute, so that a later change of the working directory changes nothing.
        Raises UsageError for a path that DuckDB would not take by its letters.
        """
        if isinstance(path, Lake):
            return path
        chosen = path if path is not None else os.environ.get("LAYERHOUSE_LAKE") or DEFAULT_LAKE
        root = Path(chosen).expanduser().resolve()
        if _MISREAD.search(str(root)):
            raise UsageError(
                f"a lake cannot lie at {root}: DuckDB reads *, ? and \\ in a path as wildcards and "
                "a folder named model=…, dataset=… or module=… as a partition"
            )
        return cls(root)

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
        """Raise UsageError unless the folder is a lake, or empty and thus fit to become one."""
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
