"""A projection as a file for a paper."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from analysis.projection import Projection
from analysis.report.figures import projection
from analysis.report.paper.choices import FIGURE_FORMS, FIGURE_WIDTHS
from analysis.report.paper.fonts import fonts_for
from analysis.report.paper.pictures import COLUMNS, PaperFigure, write_picture
from warehouse.errors import UsageError, nearest
from warehouse.files import telling_unwritable, write_at_once


def write_projection(shown: Projection, out: Path, width: str = "single") -> list[str]:
    """Write the figure as PDF, SVG or PNG, by the name of the file; gives notes on what to look at.

    The same projection gives the same bytes. Raises UsageError for another form or width,
    LayerhouseError where the file cannot be written.
    """
    form = out.suffix.lower().removeprefix(".")
    if form not in FIGURE_FORMS:
        forms = ", ".join(f".{each}" for each in FIGURE_FORMS)
        raise UsageError(f"{out} is of no form that is written; end its name in one of {forms}")
    if width not in FIGURE_WIDTHS:
        raise UsageError(f"unknown width {width!r}{nearest(width, FIGURE_WIDTHS)}")
    column, drawing = COLUMNS[width], projection(shown)
    height = drawing.narrow if column.is_narrow else drawing.wide
    fonts = fonts_for([drawing.title, shown.values.name, *shown.values.order])
    picture = PaperFigure(drawing.draw, height, drawing.title, drawing.description)
    write = partial(write_picture, picture, form=form, column=column, fonts=fonts)
    with telling_unwritable(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_at_once(out, write)
    if fonts.missing:
        letters = "".join(sorted(fonts.missing))[:20]
        return [f"no font of this machine has {letters}; boxes stand for them in {out}"]
    return []
