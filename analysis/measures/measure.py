"""What all measures share: find the cells that lack one, read them, commit chunk by chunk."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from analysis.probes import Samples, parts, read_cells, read_vectors, score_setting
from analysis.queries import read_query
from warehouse.catalogue import Warehouse, open_tables
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive
from warehouse.progress import Progress
from warehouse.vocabulary import Cell

QUERIES = Path(__file__).parent / "queries"
CHUNK_BYTES = 256 * 2**20
MAX_CELLS = 8

Tables = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """One chunk: cells in pipeline order whose vectors are equally wide.

    `vectors` fp32 [cells, samples, width], samples in the order train, val, test; `groups` are the
    samples' group ids in the same order.
    """

    model_id: str
    dataset_id: str
    cells: Sequence[Cell]
    vectors: Tensor
    samples: Samples
    groups: Sequence[str]


@dataclass(frozen=True)
class Measure:
    """A measure: its command, the query that lists where it is stored, its settings and its work.

    One that compares neighbours starts at the first cell again when one is missing. `wants_split`
    says why a dataset that is evaluated by folds cannot be measured, where that is so. One that
    `fits_for_score` fits as probes do, and is made anew where that changes.
    """

    command: str
    query: str
    settings: Mapping[str, Any]
    compute: Callable[[Work], Tables]
    compares_neighbours: bool = False
    wants_split: str | None = None
    fits_for_score: bool = False


def add_measure(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    measure: Measure,
    progress: Progress | None = None,
) -> int:
    """Compute and store a measure wherever the lake lacks it; returns at how many cells it did.

    Raises what `read_cells` and `read_vectors` raise: unknown names, nothing extracted, vectors of
    two widths, NaN or Inf; and LayerhouseError where a measure that wants a split has none.
    """
    with exclusive(lake, measure.command, model_id, dataset_id) as looked, open_tables(lake) as wh:
        widths, samples = read_cells(wh, model_id, dataset_id)
        if samples.folds is not None and measure.wants_split is not None:
            raise LayerhouseError(
                f"{dataset_id} is evaluated by folds, and {measure.wants_split}; the same images "
                "under another name (`layerhouse datasets add`) have a split"
            )
        settings = {**measure.settings, "samples": samples.fingerprint}
        if measure.fits_for_score:
            settings |= score_setting(samples.score)
        done = _stored(wh, measure, model_id, dataset_id, settings)
        missing = [cell for cell in widths if cell not in done]
        if missing and measure.compares_neighbours:
            missing = list(widths)
        groups = read_groups(wh, dataset_id, samples)
        config = {"settings": settings, "loci": [str(cell) for cell in widths]}
        spec = RunSpec(measure.command, model_id, dataset_id, config)
        with RunWriter(lake, spec, looked) as writer:
            n_done = 0
            for chunk in _chunks(missing, widths, len(samples.ids)):
                vectors = read_vectors(wh, model_id, dataset_id, chunk, samples)
                work = Work(model_id, dataset_id, chunk, vectors, samples, groups)
                writer.commit(measure.compute(work), covers={"loci": [str(cell) for cell in chunk]})
                n_done += len(chunk)
                if progress is not None:
                    progress(n_done, len(missing))
            if writer.committed:  # also where it was stopped just before
                writer.finish()
    return len(missing)


def place(work: Work, cell: Cell) -> dict[str, Any]:
    """The columns that say which cell of which model a row is about."""
    return {"model_id": work.model_id, "dataset_id": work.dataset_id, **cell._asdict()}


def _stored(
    wh: Warehouse, measure: Measure, model_id: str, dataset_id: str, settings: Mapping[str, Any]
) -> set[Cell]:
    """Where the measure is stored under the same settings; other settings are replaced."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, measure.query), names).fetchall()
    return {
        Cell(module, layer, readout)
        for module, layer, readout, config in rows
        if json.loads(config)["settings"] == settings
    }


def read_groups(wh: Warehouse, dataset_id: str, samples: Samples) -> list[str]:
    """The group of every sample, in their order."""
    rows = wh.sql(read_query(QUERIES, "groups"), {"dataset": dataset_id}).fetchall()
    known = dict(rows)
    return [known[name] for name in samples.ids]


def _chunks(
    cells: Sequence[Cell], widths: Mapping[Cell, int], n_samples: int
) -> Iterator[Sequence[Cell]]:
    """Cells of one readout and width together, in pipeline order, a bounded number at a time."""
    rows: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.module, widths[cell], cell.readout), []).append(cell)
    for (_, width, _), row in rows.items():
        yield from parts(row, min(MAX_CELLS, CHUNK_BYTES // (4 * n_samples * width)))
