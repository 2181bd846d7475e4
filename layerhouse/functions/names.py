"""Names that nobody knows, told before anything heavy is imported.

A misspelt word shall not cost the seconds that torch takes to come. What is asked here needs the
lake and files alone; the work itself asks again, of all that is known then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from layerhouse.functions.arguments import several
from warehouse.devices import refuse_unknown_device
from warehouse.errors import UsageError, nearest
from warehouse.lake import Lake


def refuse_unknown_to_run(lake: Lake, model: Any, dataset: str, options: Mapping[str, Any]) -> None:
    """UsageError for a name that a command which runs `model` over `dataset` could not mean.

    `options` are those of the command; a model in memory has no name that could be unknown.
    """
    from extract.datasets import refuse_unknown_dataset
    from extract.models import refuse_unfit_adapter

    if isinstance(model, str):
        _refuse_brought(lake, model)
    refuse_unknown_words(model, options)
    for adapter in (options.get("adapter"), options.get("from_adapter")):
        if adapter is not None and not Path(adapter).exists():
            refuse_unfit_adapter(Path(adapter))
    refuse_unknown_dataset(lake, dataset)
    _refuse_unknown_prompts(lake, several(options.get("prompt")))


def refuse_unknown_words(model: Any, options: Mapping[str, Any]) -> None:
    """UsageError for a model, a device, a fault or a place that there could be in no lake."""
    from extract.faults import read_words
    from extract.models import parse_placement, refuse_unknown
    from extract.sharing import batch_size_of

    if isinstance(model, str):
        refuse_unknown(model)
    if (device := options.get("device")) is not None:
        refuse_unknown_device(device)
    for fault in (*several(options.get("fault")), *several(options.get("from_fault"))):
        read_words(fault)
    _refuse_unknown_layers(options.get("layer"))
    parse_placement(options.get("quantization"), options.get("device_map"))
    if "batch_size" in options:
        batch_size_of(options["batch_size"])


def _refuse_brought(lake: Lake, model: str) -> None:
    """A name by which the lake knows states alone is no misspelt one."""
    from warehouse.lake import find_runs

    if find_runs(lake, "import", model):
        raise UsageError(
            f"{model} is known by its states alone, which `layerhouse import` brought, so that it "
            "cannot be run; give the model that they were taken of by its own name, and this lake "
            "holds both"
        )


def refuse_unknown_here(
    lake: Lake, models: Iterable[str] = (), datasets: Iterable[str] = ()
) -> None:
    """UsageError for a lake that is not there, and for models and datasets that it lacks."""
    from warehouse.catalogue import open_tables, require_known

    lake.require()
    asked = [*(("model", name) for name in models), *(("dataset", name) for name in datasets)]
    if not asked:
        return
    with open_tables(lake) as wh:
        for table, name in asked:
            require_known(wh, table, name)


def refuse_unknown_attributes(lake: Lake, dataset: str, names: Iterable[str]) -> None:
    """UsageError for an attribute that no sample of the dataset has."""
    from warehouse.catalogue import open_tables, require_attribute

    if asked := list(names):
        with open_tables(lake) as wh:
            for name in asked:
                require_attribute(wh, dataset, name)


def refuse_unknown_repairs(names: Iterable[str]) -> None:
    from extract.mending import REPAIR_TITLES

    for name in names:
        if name not in REPAIR_TITLES:
            raise UsageError(f"unknown repair {name!r}{nearest(name, REPAIR_TITLES)}")


def _refuse_unknown_layers(given: Any) -> None:
    from extract.anatomy import LAYER_KINDS

    for layer in several(given) if not isinstance(given, int) else ():
        try:
            int(layer)
        except ValueError:
            if layer not in LAYER_KINDS:
                raise UsageError(
                    f"unknown layer {layer!r}{nearest(layer, LAYER_KINDS)}; a single number is "
                    "taken too"
                ) from None


def _refuse_unknown_prompts(lake: Lake, asked: tuple[str, ...]) -> None:
    """Prompts that ship are known without a look at the lake."""
    from extract.models import EVERY, find_prompts, lake_prompts, shipped_prompts
    from warehouse.catalogue import open_tables

    if all(name in (EVERY, *shipped_prompts()) for name in asked) or not lake.store.commit_names():
        find_prompts(asked, {})
        return
    with open_tables(lake) as wh:
        find_prompts(asked, lake_prompts(wh))
