"""One request: what it asks for, and every query that is asked to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.queries import read_query
from analysis.report import Row, Table, ask, with_literals
from layerhouse.explore.sources import Explored
from warehouse.catalogue import Catalogue, Warehouse
from warehouse.errors import UsageError, nearest

QUERIES = Path(__file__).parent / "queries"

Parameter = str | int | list[str]


@dataclass
class Visit:
    """A page in the making. `asked` are its queries by name, which it shows at its end."""

    source: Explored
    wh: Catalogue
    given: Mapping[str, str]
    asked: dict[str, Table] = field(default_factory=dict)

    @property
    def lake(self) -> Warehouse | None:
        """The lake that is explored; None for a published file."""
        return self.wh if isinstance(self.wh, Warehouse) else None

    def rows(self, name: str, **parameters: Parameter) -> list[Row]:
        """The rows of `queries/<name>.sql`."""
        return self.keep(name, ask(self.wh, QUERIES, name, **parameters)).rows

    def show(self, name: str, **parameters: Parameter) -> None:
        """Let the page show `queries/<name>.sql`, whose rows were read in another way."""
        query = with_literals(read_query(QUERIES, name), parameters)
        self.keep(name, Table([], query))

    def keep(self, name: str, table: Table) -> Table:
        """A table whose query the page shows, under a name of its own."""
        number, unique = 1, name
        while unique in self.asked and self.asked[unique].sql != table.sql:
            number += 1
            unique = f"{name} {number}"
        self.asked[unique] = table
        return table

    def text(self, name: str) -> str:
        """A parameter of the address, '' where it is not there."""
        return self.given.get(name, "")

    def number(self, name: str, otherwise: int) -> int:
        """A whole number of the address. Raises UsageError for what is none."""
        given = self.text(name)
        if not given:
            return otherwise
        try:
            found = int(given)
        except ValueError:
            found = 2**31
        if abs(found) >= 2**31:
            raise UsageError(f"{name} is a whole number, not {given[:40]!r}")
        return found

    def pair(self) -> Row:
        """The row of `grid` of the model and dataset that the address names. Raises UsageError
        for one that is not there."""
        return self.examined(self.text("model"), self.text("dataset"))

    def examined(self, model_id: str, dataset_id: str) -> Row:
        """The row of `grid` of a model on a dataset. Raises UsageError where there is none."""
        grid = self.rows("grid")
        for what, name in (("dataset", dataset_id), ("model", model_id)):
            known = [row[f"{what}_id"] for row in grid]
            if name not in known:
                raise UsageError(f"no {what} {name!r} in {self.source.name}{nearest(name, known)}")
        for row in grid:
            if (row["model_id"], row["dataset_id"]) == (model_id, dataset_id):
                return row
        raise UsageError(
            f"{self.source.name} has neither probes nor answers of {model_id} on {dataset_id}"
        )

    def knows_layers(self, model_id: str) -> bool:
        """Whether any layer of a model is known: none is where answers alone were brought."""
        query = "SELECT count(*) FROM layer WHERE model_id = $1"
        ((n,),) = self.wh.sql(query, [model_id]).fetchall()
        return bool(n)

    def beside(self, row: Row) -> list[str]:
        """The other models on the dataset of a row of `grid`, best answer first."""
        return [
            each["model_id"]
            for each in self.rows("grid")
            if each["dataset_id"] == row["dataset_id"] and each["model_id"] != row["model_id"]
        ]

    def other(self, row: Row) -> str:
        """The second model that the address asks for beside that of a row; '' for none."""
        name = self.text("with")
        if not name or name == row["model_id"]:
            return ""
        self.examined(name, row["dataset_id"])
        return name
