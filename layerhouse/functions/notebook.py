"""A lake in a notebook: what is there at a glance, the usual frames by name, and figures inline."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from layerhouse.parts import part
from warehouse.catalogue import Warehouse, connect as open_lake
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.files import write_at_once, write_text

if TYPE_CHECKING:
    import polars as pl

GLANCE = """
SELECT
    model_id, dataset_id, round(answer_accuracy, 3) AS answer, round(total_loss, 3) AS lost, verdict
FROM mart_leaderboard
ORDER BY dataset_id, leaderboard_rank NULLS LAST, model_id
"""


class OpenLake(Warehouse):
    """A lake opened for reading, at home in a notebook; `layerhouse.connect` opens one.

    Nothing sent through it can change the lake. What others commit meanwhile is seen after
    `refresh`.
    """

    def __init__(self, opened: Warehouse, memory: str | None = None) -> None:
        super().__init__(opened.lake, opened._con, opened._timeout)
        self._memory = memory
        self._given: dict[str, Any] = {}

    @property
    def models(self) -> pl.DataFrame:
        """The models, one row each: how they are called, their variant, type, size and licence."""
        return self.sql("SELECT * EXCLUDE (run_id) FROM model ORDER BY model_id").pl()

    @property
    def datasets(self) -> pl.DataFrame:
        """The datasets, one row each: samples, classes, how they are evaluated and scored."""
        return self.sql("SELECT * EXCLUDE (run_id) FROM dataset ORDER BY dataset_id").pl()

    def signal_flow(self, model: str | None = None, dataset: str | None = None) -> pl.DataFrame:
        """What probes read at every locus and readout: the view `signal_flow`."""
        return self._view("signal_flow", model, dataset, "model_id, dataset_id, depth, readout")

    def losses(self, model: str | None = None, dataset: str | None = None) -> pl.DataFrame:
        """What each stage loses, with intervals and the verdict: `mart_failure_modes`."""
        order = "model_id, dataset_id, stage_order"
        return self._view("mart_failure_modes", model, dataset, order)

    def samples(self, model: str | None = None, dataset: str | None = None) -> pl.DataFrame:
        """What became of every scored sample, and where it was lost: `mart_sample_outcomes`."""
        order = "model_id, dataset_id, sample_id"
        return self._view("mart_sample_outcomes", model, dataset, order)

    @property
    def plot(self) -> Plots:
        """The report's figures, drawn where they are asked for."""
        return Plots(self)

    @property
    def is_stale(self) -> bool:
        """Whether something was committed since it was opened, or refreshed."""
        known = self._con.execute("SELECT commit_id FROM record_file").fetchall()
        return {name for (name,) in known} != set(self.lake.store.commit_names())

    def refresh(self) -> OpenLake:
        """Look at the lake as it is now. Frames from elsewhere (`with_tables`) stay."""
        opened = open_lake(self.lake, timeout=self._timeout, memory=self._memory)
        self._con.close()
        self.lake, self._con = opened.lake, opened._con
        return self.with_tables(**self._given)

    def with_tables(self, **frames: Any) -> OpenLake:
        """Let queries of this connection see frames of this Python (Polars, pandas, Arrow) too.

        They are tables under the names that they are given here, beside those of the lake, in
        which nothing changes. Raises UsageError for a name that the lake has, and for what is no
        frame.
        """
        taken = {
            name
            for (name,) in self._con.execute(
                "SELECT lower(table_name) FROM duckdb_tables() "
                "UNION SELECT lower(view_name) FROM duckdb_views()"
            ).fetchall()
        }
        for name, frame in frames.items():
            if name.lower() in taken - {given.lower() for given in self._given}:
                raise UsageError(f"the lake has a table {name} of its own; give yours another name")
            self._con.register(name, _arrow(name, frame))
            self._given[name] = frame
        return self

    def __repr__(self) -> str:
        return f"{self._title()}\n{self.sql(GLANCE).pl()}"

    def _repr_html_(self) -> str:
        glance = self.sql(GLANCE).pl()._repr_html_()
        return f"<p><strong>{html.escape(self._title())}</strong></p>{glance}"

    def _title(self) -> str:
        stale = "; more was committed since: call refresh()" if self.is_stale else ""
        return f"{self.lake}{stale}"

    def _view(self, name: str, model: str | None, dataset: str | None, order: str) -> pl.DataFrame:
        """A view's rows, of one model and dataset where they are named."""
        given = {"model": model, "dataset": dataset}
        asked = {f"{what}_id": value for what, value in given.items() if value is not None}
        for what, value in given.items():
            if value is not None:
                self.known(what, value)
        where = " AND ".join(f"{column} = ${place}" for place, column in enumerate(asked, 1))
        query = f"SELECT * FROM {name} WHERE {where or 'TRUE'} ORDER BY {order}"
        return self.sql(query, list(asked.values())).pl()

    def known(self, what: str, name: str) -> str:
        """The name, once the lake is known to have a model or dataset of it; else UsageError."""
        rows = self.sql(f"SELECT {what}_id FROM {what}").fetchall()
        names = [each for (each,) in rows]
        if name not in names:
            raise UsageError(f"the lake has no {what} {name!r}{nearest(name, names)}")
        return name


def _several(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _arrow(name: str, frame: Any) -> pa.Table:
    """A frame as Arrow: what has the Arrow stream of Polars and pandas, or is a dict of columns."""
    try:
        return pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise UsageError(
            f"{name} is no frame of Polars, pandas or Arrow, but {type(frame).__name__}"
        ) from error


@dataclass(frozen=True)
class InlineFigure:
    """Figures as SVG, by the name of their file; a notebook shows them, `save` writes them."""

    svgs: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Figure of {', '.join(self.svgs)}"

    def _repr_html_(self) -> str:
        """Without what stands before an SVG that is a file of its own."""
        return "\n".join(svg[svg.index("<svg") :] for svg in self.svgs.values())

    def save(self, folder: str | Path) -> list[Path]:
        """Write each as a file of its name into a folder that is there."""
        paths = []
        for name, svg in self.svgs.items():
            path = Path(folder) / name
            write_at_once(path, partial(write_text, text=svg))
            paths.append(path)
        return paths


@dataclass(frozen=True)
class Plots:
    """The report's figures of an open lake: `plot.signal_curve(model, dataset)`."""

    wh: OpenLake

    def __dir__(self) -> list[str]:
        from analysis.report import FIGURES

        return sorted(["projection", *(name.replace("-", "_") for name in FIGURES)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in dir(self):
            raise AttributeError(f"there is no figure {name!r}{nearest(name, dir(self))}")

        def draw(
            model: str | Sequence[str] = (),
            dataset: str | Sequence[str] = (),
            width: str = "double",
        ) -> InlineFigure:
            return self.draw(name, model, dataset, width)

        return draw

    @part("analysis")
    def projection(
        self,
        model: str,
        dataset: str,
        at: str,
        *,
        method: str = "pca",
        colour: str = "class",
        width: str = "double",
    ) -> InlineFigure:
        """The samples of a place on a plane: `layerhouse.project`, inline."""
        from analysis.projection import cell_named, project
        from analysis.report import write_projection

        cell = cell_named(at)
        self.wh.known("model", model)
        self.wh.known("dataset", dataset)
        shown = project(self.wh, model, dataset, cell, method=method, colour=colour)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "projection.svg"
            write_projection(shown, path, width)
            return InlineFigure({path.name: path.read_text(encoding="utf-8")})

    @part("analysis")
    def draw(
        self,
        name: str,
        model: str | Sequence[str] = (),
        dataset: str | Sequence[str] = (),
        width: str = "double",
    ) -> InlineFigure:
        """A figure by name, of these models and datasets (by default all).

        Raises LayerhouseError with what would have to be run where there is nothing to draw.
        """
        from analysis.report import Wish, write_figures

        wish = Wish(("svg",), width=width, only=(name.replace("_", "-"),))
        with TemporaryDirectory() as folder:
            place = Path(folder)
            came = write_figures(self.wh.lake, place, _several(model), _several(dataset), wish)
            svgs = {
                path.name: path.read_text(encoding="utf-8")
                for path in came.written
                if path.suffix == ".svg"
            }
        if not svgs:
            raise LayerhouseError("; ".join(came.notes) or f"there is no {name} to draw")
        return InlineFigure(svgs)
