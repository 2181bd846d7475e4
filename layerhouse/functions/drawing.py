"""Figures and tables for a paper."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from layerhouse.functions.arguments import (
    Place,
    Several,
    dataset_id,
    known_options,
    lake_at,
    several,
)
from layerhouse.functions.names import refuse_unknown_here
from layerhouse.parts import part

if TYPE_CHECKING:
    from analysis.report import WrittenFigures


class FigureOptions(TypedDict, total=False):
    """What `layerhouse figures --help` explains; every one may be left out."""

    format: Several
    table: str | None
    width: str
    only: Several


@part("analysis")
def figures(
    out: str | PathLike[str],
    model: Several = (),
    dataset: Several = (),
    *,
    lake: Place = None,
    **options: Unpack[FigureOptions],
) -> WrittenFigures:
    """Write every figure of the report as a file of its own into the folder `out`.

    `format` is one or several of pdf, svg and png; `table` writes the tables too, as latex,
    markdown or csv; `width` is single or double, of a paper's columns; `only` names figures and
    tables. Gives the files that were written, and lines on those that were not.
    """
    asked = known_options("figures", options, FigureOptions)
    names = [dataset_id(name) for name in several(dataset)]
    place, table = lake_at(lake), asked.get("table")
    refuse_unknown_here(place, several(model), names)
    place.refuse_own(Path(out))
    from analysis.report import Wish, write_figures

    wish = Wish(
        tuple(dict.fromkeys(form.lower() for form in several(asked.get("format", "pdf")))),
        None if table is None else table.lower(),
        asked.get("width", "single").lower(),
        several(asked.get("only")),
    )
    return write_figures(place, Path(out), several(model), names, wish)
