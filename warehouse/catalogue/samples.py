"""A registered dataset as its readers want it: classes and samples."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.reading import Warehouse
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.images import FileState, RegisteredImage, changed_images
from warehouse.vocabulary import ACCURACY, BY_SPLIT

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


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
    sample_id, uri, sha256, class_index (NULL in a dataset without labels), split, group_id,
    width, height (pixels), given_split (what the split was before folds). `folds` has one row per
    sample of a dataset with folds, in the same order: [n samples, n repetitions], or is None.
    """

    dataset_id: str
    title: str
    classes: list[ClassRow]
    samples: "pl.DataFrame"
    pixel_rule: str | None = None
    evaluation: str = BY_SPLIT
    n_folds: int | None = None
    folds: "NDArray[np.int64] | None" = None
    score: str = ACCURACY

    @property
    def uris(self) -> dict[str, str]:
        """Where the image of each sample is."""
        return dict(self.samples.select("sample_id", "uri").iter_rows())


def dataset(wh: Warehouse, dataset_id: str) -> DatasetInfo:
    """Read a dataset's classes and samples; UsageError with the nearest names if unknown."""
    found = wh.sql(
        "SELECT title, pixel_rule, evaluation, n_folds, score FROM dataset WHERE dataset_id = $1",
        [dataset_id],
    ).fetchall()
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
    title, pixel_rule, evaluation, n_folds, score = found[0]
    return DatasetInfo(
        dataset_id,
        title,
        [ClassRow(*row) for row in classes],
        samples,
        pixel_rule,
        evaluation,
        n_folds,
        _folds(wh, dataset_id) if n_folds else None,
        score,
    )


def _folds(wh: Warehouse, dataset_id: str) -> "NDArray[np.int64]":
    rows = wh.sql(
        "SELECT array_agg(f.fold ORDER BY f.repetition) FROM sample AS s "
        "LEFT JOIN sample_fold AS f USING (dataset_id, sample_id) WHERE dataset_id = $1 "
        "GROUP BY sample_id ORDER BY sample_id",
        [dataset_id],
    ).fetchall()
    import numpy as np

    if any(None in dealt for (dealt,) in rows) or len({len(dealt) for (dealt,) in rows}) > 1:
        raise LayerhouseError(
            f"a sample of {dataset_id} is in no fold; `layerhouse validate` shows which"
        )
    return np.array([dealt for (dealt,) in rows], dtype=np.int64)


def labelled(info: DatasetInfo, what: str) -> DatasetInfo:
    """The same dataset; LayerhouseError where its images have no labels, which `what` needs."""
    if not info.classes:
        raise LayerhouseError(
            f"{info.dataset_id} was registered without labels, which {what} needs; add its images "
            "under another name, with a label each"
        )
    return info


def left_out_samples(wh: Warehouse, model_id: str, dataset_id: str) -> list[str]:
    """The test samples that a model is not scored on, since it saw something of their group in
    training: what the view of that name shows, asked of the tables alone."""
    rows = wh.sql(
        f"WITH gone AS ({SHIPPED.views['left_out_sample']}) "
        "SELECT sample_id FROM gone WHERE model_id = $1 AND dataset_id = $2 ORDER BY sample_id",
        [model_id, dataset_id],
    ).fetchall()
    return [name for (name,) in rows]


MEMORY = "images.seen"
"""Beside the catalogue: which files of another size or time were read and hold what they should."""


def changed_samples(
    wh: Warehouse, dataset_id: str | None = None, sample_ids: Collection[str] | None = None
) -> list[tuple[str, RegisteredImage]]:
    """(dataset, image) of samples whose files hold other images than those registered.

    Of one dataset or all, and of it all samples or some. Reads what has another size or time than
    when it was registered, and than when it was last read here.
    """
    rows = wh.sql(
        "SELECT s.dataset_id, s.sample_id, s.uri, s.sha256, f.n_bytes, f.modified_ns "
        "FROM sample AS s LEFT JOIN image_file AS f USING (dataset_id, sample_id) "
        "WHERE $1 IS NULL OR s.dataset_id = $1 ORDER BY ALL",
        [dataset_id],
    ).fetchall()
    wanted = None if sample_ids is None else set(sample_ids)
    found = [
        (owner, RegisteredImage(name, uri, sha256, None if size is None else FileState(size, time)))
        for owner, name, uri, sha256, size, time in rows
        if wanted is None or name in wanted
    ]
    changed = set(changed_images([image for _, image in found], wh.lake.own / MEMORY))
    return [(owner, image) for owner, image in found if image in changed]


def refuse_changed(wh: Warehouse, dataset_id: str, sample_ids: Collection[str]) -> None:
    """LayerhouseError where some of these images of a dataset are others than those registered.

    What is known of a dataset, from labels to probes, was said of those.
    """
    changed = changed_samples(wh, dataset_id, sample_ids)
    if changed:
        _, first = changed[0]
        raise LayerhouseError(
            f"{len(changed):,} of {len(sample_ids):,} images of {dataset_id} have changed since "
            f"they were registered, first {first.sample_id} ({first.uri}); put the old ones back, "
            "or register the new ones under another name"
        )
