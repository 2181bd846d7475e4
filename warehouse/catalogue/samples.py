"""A registered dataset as its readers want it: classes and samples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.catalogue.reading import Warehouse
from warehouse.errors import UsageError, nearest

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class ClassRow:
    """One class: what manifests call it, and the phrase a model is asked for."""

    index: int
    label: str
    phrase: str


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset of the lake.

    `classes` are ordered by index. `samples` has one row per sample, ordered by sample_id:
    sample_id, uri, sha256, class_index, split, group_id, width, height (pixels).
    """

    dataset_id: str
    title: str
    classes: list[ClassRow]
    samples: "pl.DataFrame"


def dataset(wh: Warehouse, dataset_id: str) -> DatasetInfo:
    """Read a dataset's classes and samples; UsageError with the nearest names if unknown."""
    found = wh.sql("SELECT title FROM dataset WHERE dataset_id = $1", [dataset_id]).fetchall()
    if not found:
        known = [row[0] for row in wh.sql("SELECT dataset_id FROM dataset").fetchall()]
        raise UsageError(f"the lake holds no dataset {dataset_id!r}{nearest(dataset_id, known)}")
    classes = wh.sql(
        "SELECT class_index, label, phrase FROM class WHERE dataset_id = $1 ORDER BY class_index",
        [dataset_id],
    ).fetchall()
    samples = wh.sql(
        "SELECT * EXCLUDE (dataset_id, run_id) FROM sample "
        "WHERE dataset_id = $1 ORDER BY sample_id",
        [dataset_id],
    ).pl()
    return DatasetInfo(dataset_id, found[0][0], [ClassRow(*row) for row in classes], samples)
