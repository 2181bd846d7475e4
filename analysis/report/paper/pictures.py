"""One figure as one file: PDF with embedded fonts, SVG with letters as outlines, or PNG.

A figure is drawn as on the report's page, narrow for a paper's column and wide for its full width,
and is then scaled to that width as a whole: its smallest letters, 9.5 px, come out at 6 pt.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import FigureCanvasPdf, Op, PdfFile, PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontPath

from analysis.report.palette import on_paper
from analysis.report.paper.fonts import Fonts, part_of
from analysis.report.svg import MARK, NARROW, WIDE, Draw, missing_glyphs, style
from warehouse.files import write_text

DOTS_PER_INCH = 300


@dataclass(frozen=True)
class Column:
    """A width that a paper prints, and the one of the page's two drawings that is scaled to it."""

    inches: float
    pixels: int
    is_narrow: bool

    @property
    def scale(self) -> float:
        return self.inches * 72 / self.pixels


COLUMNS = {"single": Column(3.5, NARROW, True), "double": Column(7.2, WIDE, False)}


@dataclass(frozen=True)
class PaperFigure:
    """What a file shows; `height` in pixels of the page."""

    draw: Draw
    height: int
    title: str
    description: str

    def inches(self, column: Column) -> float:
        """How high it is on paper."""
        return self.height * column.scale / 72


def write_picture(
    picture: PaperFigure, path: Path, form: str, column: Column, fonts: Fonts
) -> None:
    """One of FORMS at `path`; the same picture gives the same bytes."""
    settings: dict[Any, Any] = {
        "font.family": list(fonts.families),
        "figure.facecolor": "white",
        "pdf.fonttype": fonts.in_pdf,
        "svg.fonttype": "path",
        "svg.hashsalt": picture.title,
    }
    # Which letters no font has is told by who chose the fonts.
    with on_paper(), matplotlib.rc_context(style() | settings), missing_glyphs():
        figure = Figure(figsize=(column.pixels / 72, picture.height / 72), dpi=72)
        FigureCanvasPdf(figure)
        picture.draw(figure, column.is_narrow)
        FORMS[form](figure, picture, path, column)


def _pdf(figure: Figure, picture: PaperFigure, path: Path, column: Column) -> None:
    about = {"Title": picture.title, "Subject": picture.description, "Creator": "Layerhouse"}
    with _ScaledPages(path, column.scale, about | {"CreationDate": None}) as pages:
        figure.savefig(pages, format="pdf")


class _ScaledPages(PdfPages):
    """A PDF whose pages are drawn smaller or larger than the figure is."""

    def __init__(self, path: Path, scale: float, metadata: dict[str, Any]) -> None:
        super().__init__(path, metadata=metadata)
        self._scale = scale

    def _ensure_file(self) -> PdfFile:
        if self._file is None:
            self._file = _ScaledFile(self._filename, self._scale, self._metadata)
        return self._file


class _ScaledFile(PdfFile):
    def __init__(self, path: Path, scale: float, metadata: dict[str, Any]) -> None:
        super().__init__(path, metadata=metadata)
        self._scale = scale

    def newPage(self, width: float, height: float) -> None:  # noqa: N802, matplotlib's name
        super().newPage(width * self._scale, height * self._scale)
        self.width, self.height = width, height  # what lies outside of these is left away
        self.output(self._scale, 0, 0, self._scale, 0, 0, Op.concat_matrix)

    def embedTTF(  # noqa: N802
        self, filename: FontPath, subset_index: int, charmap: Mapping[int, int]
    ) -> Any:
        part = part_of(filename, charmap.values())
        glyphs = {code: part.glyphs[glyph] for code, glyph in charmap.items()}
        return super().embedTTF(part, subset_index, glyphs)


def _svg(figure: Figure, picture: PaperFigure, path: Path, column: Column) -> None:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    drawn = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    drawn = re.sub(rf'\sid="{MARK}([^"]+)"', r' data-mark="\1"', drawn)
    size = f'width="{column.inches}in" height="{picture.inches(column):.4f}in"'
    opening = re.search(r"<svg\b[^>]*>", drawn)
    assert opening is not None
    sized = re.sub(r'\s(?:width|height)="[^"]*"', "", opening[0])
    said = (
        f'{sized[:-1]} {size} role="img">'
        f"<title>{escape(picture.title)}</title><desc>{escape(picture.description)}</desc>"
    )
    write_text(path, drawn[: opening.start()] + said + drawn[opening.end() :])


def _png(figure: Figure, picture: PaperFigure, path: Path, column: Column) -> None:
    about = {"Title": picture.title, "Description": picture.description, "Software": None}
    figure.savefig(
        path,
        format="png",
        dpi=DOTS_PER_INCH * column.inches * 72 / column.pixels,
        metadata=about,
        pil_kwargs={"dpi": (DOTS_PER_INCH, DOTS_PER_INCH)},
    )


FORMS: dict[str, Callable[[Figure, PaperFigure, Path, Column], None]] = {
    "pdf": _pdf,
    "svg": _svg,
    "png": _png,
}
