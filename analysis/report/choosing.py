"""Which models and datasets of the lake are shown."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from analysis.report.reading import read_table
from analysis.report.words import WHAT_TO_RUN
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

    def among(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [
            (model_id, dataset_id)
            for model_id, dataset_id in pairs
            if model_id in (models or [model_id]) and dataset_id in (datasets or [dataset_id])
        ]

    if found := among(stored):
        return found
    unread = [(row["model_id"], row["dataset_id"]) for row in read_table(wh, "unread").rows]
    what = " and ".join([*models, *datasets])
    raise LayerhouseError(
        f"there is nothing to report{f' about {what}' if what else ''}: {_way_out(among(unread))}"
    )


def _way_out(unread: list[tuple[str, str]]) -> str:
    """The commands that make something to report, of states that are there or of none."""
    if not unread:
        return f"{WHAT_TO_RUN}, and `layerhouse demo` makes an example"
    model_id, dataset_id = map(quote, unread[0])
    pair = f"--model {model_id} --dataset {dataset_id}"
    return f"run `layerhouse probe {pair}` and `layerhouse diagnose {pair}` first"
