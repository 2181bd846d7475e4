"""One cell of the lake as a picture to be: who stands where, and what each is coloured by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.projection.colours import CLASS, Values, read_values
from analysis.projection.laying import PCA, Layout, lay_out
from warehouse.catalogue import Warehouse
from warehouse.errors import UsageError
from warehouse.vocabulary import Cell

if TYPE_CHECKING:
    import polars as pl


def cell_named(text: str) -> Cell:
    """The cell that is called MODULE.LAYER/READOUT. Raises UsageError for what is no such name."""
    locus, _, readout = text.partition("/")
    module, _, layer = locus.rpartition(".")
    if not (module and readout and layer.isascii() and layer.isdigit() and len(layer) < 6):
        raise UsageError(f"a place is MODULE.LAYER/READOUT, such as llm.3/mean, not {text[:80]!r}")
    return Cell(module, int(layer), readout)


def name_of(cell: Cell) -> str:
    """What `cell_named` reads: 'llm.3/mean'."""
    return f"{cell.module}.{cell.layer}/{cell.readout}"


@dataclass(frozen=True)
class Projection:
    """The samples of a cell on a plane. `samples`: sample_id, label, split, in the order of
    `layout.places`; `values` are what they are coloured by."""

    model_id: str
    dataset_id: str
    cell: Cell
    layout: Layout
    samples: pl.DataFrame
    values: Values
    notes: tuple[str, ...] = ()
    """What to look at in the figure that was written of it."""

    @property
    def worth(self) -> str:
        """What the plane shows of the vectors, and of which samples, in sentences."""
        layout = self.layout
        if layout.explained is not None:
            first, second = (f"{100 * share:.1f}%" for share in layout.explained)
            said = (
                f"The axes are the first two principal components, {first} and {second} of the "
                "variance"
            )
        else:
            said = (
                f"t-SNE of perplexity {layout.perplexity:.3g}: who is near is alike, distances "
                "between clusters and their sizes mean nothing"
            )
        drawn = f", drawn at random of {layout.n_given:,}" if layout.is_drawn else ""
        unfit = f"; {layout.n_unfit:,} without finite vectors are left out"
        return (
            f"{said}. {len(layout.rows):,} samples{drawn}{unfit if layout.n_unfit else ''}; "
            "features are scaled to equal variance."
        )

    @property
    def frame(self) -> pl.DataFrame:
        """One row per sample that stands on the plane: sample_id, label, split, x, y, and the
        value that colours it."""
        import polars as pl

        values = [self.values.of.get(sample) for sample in self.samples["sample_id"]]
        return self.samples.with_columns(
            x=pl.Series(self.layout.places[:, 0]),
            y=pl.Series(self.layout.places[:, 1]),
            **{self.values.column: pl.Series(values, dtype=pl.String)},
        )


def project(
    wh: Warehouse,
    model_id: str,
    dataset_id: str,
    cell: Cell,
    *,
    method: str = PCA,
    colour: str = CLASS,
    laid_out: Callable[[NDArray[np.float32], str], Layout] = lay_out,
) -> Projection:
    """Lay the vectors of a cell out, and read what their samples are coloured by. `laid_out` may be
    one that remembers.

    Raises UsageError where the lake holds no such vectors, for an unknown method and for an unknown
    colour; LayerhouseError where there is nothing to lay out.
    """
    values = read_values(wh, model_id, dataset_id, colour)
    vectors, samples = wh.activations(model_id, dataset_id, cell.module, cell.layer, cell.readout)
    layout = laid_out(vectors, method)
    drawn = samples[layout.rows].select("sample_id", "label", "split")
    return Projection(model_id, dataset_id, cell, layout, drawn, values)
