"""`layerhouse figures`: every figure of the report as a file of its own, and its tables."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.report import figures
from analysis.report.choosing import wanted
from analysis.report.paper.files import About, OutFolder, short_names
from analysis.report.paper.fonts import Fonts, fonts_for
from analysis.report.paper.forking import do_all
from analysis.report.paper.kinds import DATASET_FIGURES, MODEL_FIGURES, OVERLAY, reason_in
from analysis.report.paper.legible import Names, legible, names_for, texts
from analysis.report.paper.markup import MARKUPS
from analysis.report.paper.pictures import COLUMNS, PaperFigure, write_picture
from analysis.report.paper.tables import TABLES
from analysis.report.paper.wishing import Wish
from analysis.report.reading import DatasetPage, Row, Table, read_pages, read_table
from analysis.report.svg import Drawing
from analysis.report.words import WHAT_TO_RUN
from warehouse.catalogue import Warehouse, connect
from warehouse.files import write_text
from warehouse.lake import Lake

PAGE_INCHES = 9.5
"""Higher than this fits on no page of a paper."""
NAMED = 3
"""Names that a line holds before it counts the rest."""


@dataclass(frozen=True)
class WrittenFigures:
    """The files that were written, and lines on what was not and what to look at."""

    written: list[Path]
    notes: list[str]


@dataclass(frozen=True)
class Sheet:
    """One file to be: its name, what it shows, and what writes it."""

    name: str
    about: About
    write: Callable[[Path], None]


@dataclass(frozen=True)
class Dataset:
    """One dataset: what is stored, and the same in letters that can be drawn."""

    stored: DatasetPage
    drawn: DatasetPage
    names: Names
    curves: Table
    losses: Table


def write_figures(
    lake: Lake, out: Path, models: Sequence[str], datasets: Sequence[str], wish: Wish
) -> WrittenFigures:
    """Write the figures, and if wished the tables, of these models on these datasets into `out`.

    Files of ours are replaced, others never touched; the same lake gives the same bytes. Raises
    UsageError for unknown names and for a file in the way, before anything is written, and
    LayerhouseError when there is nothing to show or a file cannot be written.
    """
    folder = OutFolder(out)
    with connect(lake) as wh:
        pairs = wanted(wh, models, datasets)
        found, fonts = _read(wh, pairs)
        parts = {
            table: short_names(
                row[0] for row in wh.sql(f"SELECT {table}_id FROM {table}").fetchall()
            )
            for table in ("model", "dataset")
        }
    plan = _Plan(wish, fonts, parts)
    for dataset in found:
        plan.add(dataset)
    plan.add_overlays(found)
    folder.announce({sheet.name: sheet.about for sheet in plan.sheets})
    do_all([partial(folder.write, sheet.name, sheet.write) for sheet in plan.sheets])
    written = [folder.path / sheet.name for sheet in plan.sheets]
    return WrittenFigures(written, [*plan.notes, *plan.left_out()])


def _read(wh: Warehouse, pairs: list[tuple[str, str]]) -> tuple[list[Dataset], Fonts]:
    pages = read_pages(wh, pairs, 0, most=len(pairs)).datasets
    fonts = fonts_for(text for page in pages for text in texts(page))
    found = []
    for page in pages:
        models = [model.model_id for model in page.models]
        names = names_for(page, fonts)
        curves, losses = (
            read_table(wh, name, dataset=page.dataset_id, models=models)
            for name in ("overlay", "paper_losses")
        )
        found.append(Dataset(page, legible(page, names), names, curves, losses))
    return found, fonts


class _Plan:
    """The files to be, and why some are not."""

    def __init__(self, wish: Wish, fonts: Fonts, parts: Mapping[str, Mapping[str, str]]) -> None:
        self.wish = wish
        self.fonts = fonts
        self.parts = parts
        self.column = COLUMNS[wish.width]
        self.sheets: list[Sheet] = []
        self.notes: list[str] = []
        self.n_models = 0
        self._missing: dict[tuple[str, str], dict[str, str]] = {}

    def add(self, dataset: Dataset) -> None:
        """The figures and tables of one dataset and its models, and the legend if one is due."""
        page = dataset.stored
        first = len(self.sheets)
        self.n_models += len(page.models)
        for name, kind in DATASET_FIGURES.items():
            if self.wish.has(name):
                self._figure(name, kind.draw(dataset.drawn), kind.missing, page.dataset_id)
        for stored, drawn in zip(page.models, dataset.drawn.models, strict=True):
            for name, of_model in MODEL_FIGURES.items():
                if self.wish.has(name):
                    drawing = of_model.draw(drawn)
                    who = page.dataset_id, stored.model_id
                    self._figure(name, drawing, of_model.why_missing(stored), *who)
        if self.wish.table is not None:
            self._tables(page, dataset.losses.rows, self.wish.table)
        if dataset.names.legend and len(self.sheets) > first:
            self._legend(page.dataset_id, dataset.names)

    def add_overlays(self, found: Sequence[Dataset]) -> None:
        """All models of a dataset in one figure, and those of all datasets beside each other."""
        if not self.wish.has(OVERLAY):
            return
        for dataset in found:
            self._overlay([dataset], dataset.stored.dataset_id)
        if len(found) > 1:
            self._overlay(found, None)

    def _overlay(self, found: Sequence[Dataset], dataset_id: str | None) -> None:
        shown = {
            row["model_id"]: dataset.names.shown(row["model_id"])
            for dataset in found
            for row in dataset.stored.leaderboard.rows
        }
        models = list(shown.values())
        n_parts = -(-len(models) // figures.MOST)
        size = -(-len(models) // n_parts)
        for number in range(n_parts):
            part = models[number * size : (number + 1) * size]
            name = OVERLAY if n_parts == 1 else f"{OVERLAY}-{number + 1}"
            drawing = figures.overlay([_panel(dataset, part) for dataset in found], part)
            missing = f"it takes two models, or two datasets, with probes: {WHAT_TO_RUN}"
            self._figure(name, drawing, missing, dataset_id)

    def _figure(
        self,
        name: str,
        drawing: Drawing | None,
        missing: str,
        dataset_id: str | None,
        model_id: str | None = None,
    ) -> None:
        if drawing is None:
            who = " on ".join(filter(None, (model_id, dataset_id or "all datasets")))
            self._leave_out(name, missing, who)
            return
        owner = {"dataset_id": dataset_id, "model_id": model_id}
        for part, picture in self._pictures(drawing):
            height = picture.inches(self.column)
            stem = self._stem(f"{name}{part}", dataset_id, model_id)
            size = {"width_inches": self.column.inches, "height_inches": round(height, 2)}
            said = {"title": picture.title, "description": picture.description}
            if height > PAGE_INCHES:
                way = "" if model_id else ": fewer models (--model) make it lower"
                self.notes.append(f"{stem} is {height:.0f} in high, more than a page{way}")
            for form in self.wish.forms:
                write = partial(self._write, picture, form)
                about = {"figure": name, **owner, **said, **size}
                self.sheets.append(Sheet(f"{stem}.{form}", about, write))

    def _pictures(self, drawing: Drawing) -> Iterator[tuple[str, PaperFigure]]:
        """The drawing, or in a narrow column each of its panels, with what their names add."""
        said = drawing.title, drawing.description
        if self.column.is_narrow and drawing.panels:
            height = drawing.narrow // len(drawing.panels)
            for panel, draw in drawing.panels.items():
                yield f"-{panel.replace('_', '-')}", PaperFigure(draw, height, *said)
        else:
            height = drawing.narrow if self.column.is_narrow else drawing.wide
            yield "", PaperFigure(drawing.draw, height, *said)

    def _write(self, picture: PaperFigure, form: str, path: Path) -> None:
        write_picture(picture, path, form, self.column, self.fonts)

    def _stem(self, name: str, dataset_id: str | None, model_id: str | None = None) -> str:
        parts = [] if dataset_id is None else [self.parts["dataset"][dataset_id]]
        parts += [] if model_id is None else [self.parts["model"][model_id]]
        return "--".join([*parts, name])

    def _tables(self, page: DatasetPage, losses: Sequence[Row], markup: str) -> None:
        ending, written_as = MARKUPS[markup]
        for name, kind in TABLES.items():
            if not self.wish.has(name):
                continue
            grid = kind.of(page, losses)
            if not grid.rows:
                self._leave_out(f"table {name}", kind.missing, page.dataset_id)
                continue
            about = {"table": name, "dataset_id": page.dataset_id, "title": grid.title}
            write = partial(write_text, text=written_as(grid))
            stem = self._stem(f"table-{name}", page.dataset_id)
            self.sheets.append(Sheet(f"{stem}.{ending}", about, write))

    def _legend(self, dataset_id: str, names: Names) -> None:
        name = f"{self._stem('legend', dataset_id)}.csv"
        about = {"table": "legend", "dataset_id": dataset_id, "title": "what stands for which name"}

        def write(path: Path) -> None:
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerows([("shown", "name"), *names.legend])

        self.sheets.append(Sheet(name, about, write))
        what = "classes stand by their index" if names.classes else "names stand by a mark"
        self.notes.append(
            f"{what} in the figures of {dataset_id}, since no font of this machine has all of "
            f"their letters; {name} says which is which"
        )

    def left_out(self) -> list[str]:
        """A line for each figure that was not written for some model or dataset."""
        lines = []
        for (name, _), said in self._missing.items():
            owners, (missing, *others) = list(said), said.values()
            named = ", ".join(owners[:NAMED])
            if len(owners) > NAMED:
                named += f" and {len(owners) - NAMED} more"
            if name in MODEL_FIGURES and len(owners) == self.n_models > 1:
                named = "any model"
            likewise = ", and so for the others" if set(others) - {missing} else ""
            lines.append(f"no {name} of {named}: {missing}{likewise}")
        return lines

    def _leave_out(self, name: str, missing: str, who: str) -> None:
        """Those that lack a figure for the same reason share a line, whatever their commands."""
        self._missing.setdefault((name, reason_in(missing)), {})[who] = missing


def _panel(dataset: Dataset, models: Sequence[str]) -> figures.Panel:
    """What an overlay shows of these models, by the names they are drawn with."""
    page = dataset.drawn

    def own(table: Table) -> list[Row]:
        shown = [{**row, "model_id": dataset.names.shown(row["model_id"])} for row in table.rows]
        return [row for row in shown if row["model_id"] in models]

    return figures.Panel(
        page.dataset_id, page.facts["score"], own(dataset.curves), own(page.leaderboard)
    )
