"""The samples of one place on a plane, each of them a way to its page."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np

from analysis.projection import (
    COLOURS,
    METHODS,
    Layout,
    Projection,
    cell_named,
    lay_out,
    project,
)
from analysis.report import projection
from layerhouse.explore.drawing import drawn
from layerhouse.explore.pages.sample import place_name
from layerhouse.explore.visit import Visit
from warehouse.vocabulary import Cell

MOST = 2_000
"""Samples that a page shows; `layerhouse project` shows more."""
KEPT = 16
"""Planes that are not laid out anew when they are asked for again, by another colour."""


def projection_page(visit: Visit) -> dict[str, Any]:
    """PCA or t-SNE of the place that the address names, by default the last one."""
    row = visit.pair()
    filled: dict[str, Any] = {"row": row, "shown": None, "methods": METHODS, "places": []}
    if visit.lake is None:
        return filled
    model_id, dataset_id = row["model_id"], row["dataset_id"]
    places = [place_name(each) for each in visit.rows("places", model=model_id, dataset=dataset_id)]
    attributes = [each["name"] for each in visit.rows("attributes", dataset=dataset_id)]
    given = visit.text("place") or (places[-1] if places else "")
    method, colour = visit.text("method") or METHODS[0], visit.text("colour") or COLOURS[0]
    filled["knows_layers"] = visit.knows_layers(model_id)
    filled |= {"places": places, "place": given, "method": method, "colour": colour}
    filled["colours"] = [*COLOURS, *attributes]
    if given:
        cell = cell_named(given)
        shown = _projected(visit, model_id, dataset_id, cell, method, colour)
        filled |= {"shown": drawn(projection(shown)), "said": shown.worth}
    return filled


def _projected(
    visit: Visit, model_id: str, dataset_id: str, cell: Cell, method: str, colour: str
) -> Projection:
    assert visit.lake is not None
    names = {"model": model_id, "dataset": dataset_id, "module": cell.module}
    visit.show("vectors", **names, layer=cell.layer, readout=cell.readout)
    return project(
        visit.lake, model_id, dataset_id, cell, method=method, colour=colour, laid_out=_LAID_OUT
    )


class _LaidOut:
    """Remembers the latest planes by the vectors they are of."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], Layout] = OrderedDict()
        self._lock = Lock()

    def __call__(self, vectors: np.ndarray, method: str) -> Layout:
        key = method, blake2b(np.ascontiguousarray(vectors).data, digest_size=16).digest()
        with self._lock:
            if key not in self._known:
                self._known[key] = lay_out(vectors, method, most=MOST)
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return self._known[key]


_LAID_OUT = _LaidOut()
