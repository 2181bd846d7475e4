"""What is explored: a lake as it is now, or the marts of a published file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from shlex import quote

from warehouse.catalogue import Catalogue, Warehouse, connect
from warehouse.lake import Lake


class Explored(ABC):
    """Opened anew for every page, which shows what was committed or published since."""

    timeout: float = 60
    """Seconds that a query may take."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As a person calls it."""

    @property
    @abstractmethod
    def sql_command(self) -> str:
        """What takes a query about it, on the command line."""

    @abstractmethod
    def opened(self) -> Catalogue:
        """A connection that only reads, of one page alone. Raises LayerhouseError."""


class ExploredLake(Explored):
    """A lake: everything."""

    def __init__(self, lake: Lake) -> None:
        """Raises UsageError where there is no lake."""
        lake.require()
        self.lake = lake

    @property
    def name(self) -> str:
        return self.lake.name

    @property
    def sql_command(self) -> str:
        return "layerhouse sql"

    def opened(self) -> Warehouse:
        return connect(self.lake, timeout=self.timeout)


class ExploredFile(Explored):
    """A published file: marts, so neither images of one's own nor activations."""

    def __init__(self, path: Path) -> None:
        """Raises LayerhouseError for what is no publication."""
        self.path = path
        self.opened().close()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def sql_command(self) -> str:
        file = self.path / "marts.duckdb" if self.path.is_dir() else self.path
        return f"duckdb -readonly {quote(str(file))}"

    def opened(self) -> Catalogue:
        from warehouse.publishing import open_published

        return open_published(self.path, self.timeout)
