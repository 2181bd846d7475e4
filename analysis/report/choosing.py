"""Which models and datasets of the lake are shown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.reading import read_table
from warehouse.catalogue import Warehouse, require_known
from warehouse.errors import LayerhouseError


def wanted(wh: Warehouse, models: Sequence[str], datasets: Sequence[str]) -> list[tuple[str, str]]:
    """The stored (model_id, dataset_id) that were asked for, by dataset; all by default.

    Raises UsageError for an unknown name, LayerhouseError when there is nothing to show.
    """
    for table, names in (("model", models), ("dataset", datasets)):
        for name in names:
            require_known(wh, table, name)
    stored = [(row["model_id"], row["dataset_id"]) for row in read_table(wh, "pairs").rows]
    found = [
        (model_id, dataset_id)
        for model_id, dataset_id in stored
        if model_id in (models or [model_id]) and dataset_id in (datasets or [dataset_id])
    ]
    if not found:
        what = " and ".join([*models, *datasets])
        raise LayerhouseError(
            f"there is nothing to report{f' about {what}' if what else ''}: run `layerhouse "
            "extract`, `layerhouse probe` and `layerhouse diagnose` first, or `layerhouse demo`"
        )
    return found
