"""Figures and tables for a paper."""

from __future__ import annotations

from dataclasses import replace
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
    from analysis.projection import Projection
    from analysis.report import WrittenFigures


class ProjectionOptions(TypedDict, total=False):
    """What `layerhouse project --help` explains; every one may be left out."""

    method: str
    colour: str
    width: str


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
    from analysis.report import Wish

    wish = Wish(
        tuple(dict.fromkeys(form.lower() for form in several(asked.get("format", "pdf")))),
        None if table is None else table.lower(),
        asked.get("width", "single").lower(),
        several(asked.get("only")),
    )
    if model or names:
        refuse_unknown_here(place, several(model), names)
    place.refuse_own(Path(out))
    from analysis.report import write_figures  # matplotlib

    return write_figures(place, Path(out), several(model), names, wish)


@part("analysis")
def project(
    model: str,
    dataset: str,
    at: str,
    *,
    out: str | PathLike[str] | None = None,
    lake: Place = None,
    **options: Unpack[ProjectionOptions],
) -> Projection:
    """Lay the vectors of a place out on a plane, and write the figure if `out` names a file.

    `at` is MODULE.LAYER/READOUT, such as "llm.3/mean"; `method` is pca or tsne; `colour` is class,
    answer or the name of an attribute. What it gives has the samples' places as `.frame`, and what
    the plane is worth in `.layout`.
    """
    from analysis.projection import cell_named, project as lay_out
    from analysis.report import write_projection
    from layerhouse.functions.lakes import connect

    asked = known_options("project", options, ProjectionOptions)
    place = lake_at(lake)
    if out is not None:
        place.refuse_own(Path(out))
    cell, look = cell_named(at), {key: asked[key] for key in ("method", "colour") if key in asked}
    with connect(place) as wh:
        wh.known("model", model)
        name = wh.known("dataset", dataset_id(dataset))
        shown = lay_out(wh, model, name, cell, **look)
    if out is not None:
        notes = write_projection(shown, Path(out), asked.get("width", "single"))
        shown = replace(shown, notes=tuple(notes))
    return shown
