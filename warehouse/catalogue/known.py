"""Names that a lake knows: of models, of datasets, of what is known of a dataset's samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.errors import UsageError, nearest

if TYPE_CHECKING:
    from warehouse.catalogue.reading import Catalogue

OF_EVERY_SAMPLE = ("width", "height", "size", "group_id")
"""What is known of every image; a manifest's column of the same name comes before it."""


def require_known(wh: Catalogue, table: str, name: str) -> None:
    """Raise UsageError with the nearest names unless the lake has that model or dataset."""
    known = [row[0] for row in wh.sql(f"SELECT {table}_id FROM {table}").fetchall()]
    if name not in known:
        hint = nearest(name, known) or "; `layerhouse status` says what to run first"
        raise UsageError(f"the lake holds no {table} {name!r}{hint}")


def require_attribute(wh: Catalogue, dataset_id: str, name: str) -> None:
    """Raise UsageError with the nearest names unless samples of the dataset have that attribute."""
    found = wh.sql(
        "SELECT DISTINCT name FROM sample_attribute WHERE dataset_id = $1 ORDER BY name",
        [dataset_id],
    ).fetchall()
    known = [*(row[0] for row in found), *OF_EVERY_SAMPLE]
    if name not in known:
        raise UsageError(f"{dataset_id} has no attribute {name!r}{nearest(name, known)}")
