"""What all measures share: find the loci that lack one, read them, commit chunk by chunk."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from analysis.probes.activations import Locus, Samples, read_loci, read_vectors
from analysis.queries import read_query
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect
from warehouse.lake.exclusion import exclusive
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.progress import Progress

QUERIES = Path(__file__).parent / "queries"
CHUNK_BYTES = 256 * 2**20
MAX_LOCI = 8

Tables = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """One chunk: loci in pipeline order whose vectors are equally wide.

    `vectors` fp32 (loci, samples, width), samples in the order train, val, test; `groups` are the
    samples' group ids in the same order.
    """

    model_id: str
    dataset_id: str
    loci: Sequence[Locus]
    vectors: Tensor
    samples: Samples
    groups: Sequence[str]


@dataclass(frozen=True)
class Measure:
    """A measure: its command, the query that lists where it is stored, its settings and its work.

    One that compares neighbours starts at the first locus again when one is missing.
    """

    command: str
    query: str
    settings: Mapping[str, Any]
    compute: Callable[[Work], Tables]
    compares_neighbours: bool = False


def add_measure(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    measure: Measure,
    progress: Progress | None = None,
) -> int:
    """Compute and store a measure wherever the lake lacks it; returns at how many loci it did.

    Raises what `read_loci` and `read_vectors` raise: unknown names, nothing extracted, vectors of
    two widths, NaN or Inf.
    """
    with exclusive(lake, measure.command, model_id, dataset_id) as looked, connect(lake) as wh:
        loci, samples = read_loci(wh, model_id, dataset_id)
        settings = {**measure.settings, "samples": samples.fingerprint}
        done = _stored(wh, measure, model_id, dataset_id, settings)
        missing = [one for one in loci if (one.module, one.layer, one.readout) not in done]
        if not missing:
            return 0
        if measure.compares_neighbours:
            missing = loci
        groups = _groups(wh, dataset_id, samples)
        config = {"settings": settings, "loci": [str(locus) for locus in loci]}
        spec = RunSpec(measure.command, model_id, dataset_id, config)
        with RunWriter(lake, spec, looked) as writer:
            n_done = 0
            for chunk in _chunks(missing, len(samples.ids)):
                vectors = read_vectors(wh, model_id, dataset_id, chunk, samples)
                work = Work(model_id, dataset_id, chunk, vectors, samples, groups)
                writer.commit(measure.compute(work), covers={"loci": [str(one) for one in chunk]})
                n_done += len(chunk)
                if progress is not None:
                    progress(n_done, len(missing))
            writer.finish()
    return len(missing)


def place(work: Work, locus: Locus) -> dict[str, Any]:
    """The columns that say which locus of which model a row is about."""
    return {
        "model_id": work.model_id,
        "dataset_id": work.dataset_id,
        "module": locus.module,
        "layer": locus.layer,
        "readout": locus.readout,
    }


def _stored(
    wh: Warehouse, measure: Measure, model_id: str, dataset_id: str, settings: Mapping[str, Any]
) -> set[tuple[str, int, str]]:
    """Where the measure is stored under the same settings; other settings are replaced."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, measure.query), names).fetchall()
    return {
        (module, layer, readout)
        for module, layer, readout, config in rows
        if json.loads(config)["settings"] == settings
    }


def _groups(wh: Warehouse, dataset_id: str, samples: Samples) -> list[str]:
    rows = wh.sql(read_query(QUERIES, "groups"), {"dataset": dataset_id}).fetchall()
    known = dict(rows)
    return [known[name] for name in samples.ids]


def _chunks(loci: Sequence[Locus], n_samples: int) -> list[list[Locus]]:
    """Loci of one readout and width together, in pipeline order, a bounded number at a time."""
    rows: dict[tuple[Any, ...], list[Locus]] = {}
    for locus in loci:
        rows.setdefault((locus.module, locus.width, locus.readout), []).append(locus)
    chunks = []
    for (_, width, readout), row in rows.items():
        wide = 4 * width if readout == "grid" else width
        size = max(1, min(MAX_LOCI, CHUNK_BYTES // (4 * n_samples * wide)))
        chunks += [row[start : start + size] for start in range(0, len(row), size)]
    return chunks
