"""Names whose letters no font of this machine has are replaced, and a legend says by what.

Classes become their indices, all of a dataset at once so that no two ways of naming mix; any other
name becomes a mark that is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any, TypeVar

from analysis.report.paper.fonts import Fonts
from analysis.report.reading import DatasetPage, ModelPage, Row, Table

Page = TypeVar("Page", DatasetPage, ModelPage)

LABELS = ("label", "row_label", "column_label")


@dataclass(frozen=True)
class Names:
    """What stands for names that cannot be drawn."""

    classes: Mapping[str, str]
    """Indices by label; empty where all labels can be drawn."""
    others: Mapping[str, str]

    @property
    def legend(self) -> list[tuple[str, str]]:
        """What is shown, and for which name."""
        named = [*self.classes.items(), *self.others.items()]
        return [(shown, name) for name, shown in named]

    def shown(self, name: str) -> str:
        """In place of a name that is no class'."""
        return self.others.get(name, name)


def texts(page: DatasetPage) -> Iterator[str]:
    """All that a figure of this page may have to write."""
    yield from _labels(page).values()
    yield from _others(page)


def names_for(page: DatasetPage, fonts: Fonts) -> Names:
    labels = _labels(page)
    has_all = all(map(fonts.have, labels.values()))
    others = sorted({text for text in _others(page) if not fonts.have(text)})
    return Names(
        {} if has_all else {label: str(index) for index, label in labels.items()},
        {text: f"#{blake2b(text.encode(), digest_size=2).hexdigest()}" for text in others},
    )


def legible(page: DatasetPage, names: Names) -> DatasetPage:
    """The page with these in place of the names."""
    if not names.legend:
        return page
    models = [replace(_renamed(m, names), model_id=names.shown(m.model_id)) for m in page.models]
    return replace(_renamed(page, names), models=models)


def _labels(page: DatasetPage) -> dict[int, str]:
    return {row["class_index"]: row["label"] for m in page.models for row in m.classes.rows}


def _others(page: DatasetPage) -> Iterator[str]:
    yield page.dataset_id
    pages: list[DatasetPage | ModelPage] = [page, *page.models]
    for one in pages:
        for table in _tables(one).values():
            for row in table.rows:
                cells = (value for name, value in row.items() if name not in LABELS)
                yield from (value for value in cells if isinstance(value, str))


def _tables(page: DatasetPage | ModelPage) -> dict[str, Table]:
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    return {name: value for name, value in values.items() if isinstance(value, Table)}


def _renamed(page: Page, names: Names) -> Page:
    tables: dict[str, Any] = {
        name: replace(table, rows=[_row(row, names) for row in table.rows])
        for name, table in _tables(page).items()
    }
    return replace(page, dataset_id=names.shown(page.dataset_id), **tables)


def _row(row: Row, names: Names) -> Row:
    found = {
        name: names.shown(value) if isinstance(value, str) and name not in LABELS else value
        for name, value in row.items()
    }
    for name in LABELS:
        if name in row:
            found[name] = names.classes.get(row[name], row[name])
    return found
