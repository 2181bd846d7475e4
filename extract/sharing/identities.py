"""What decides a run's numbers, as the lake holds it: runs of earlier versions are gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from extract.models import GivenModel, ModelSource
from extract.reading import brought_readouts
from warehouse.catalogue import Warehouse, package_readouts
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, find_runs

OF_A_MODEL = ("extract", "patch", "steer")
"""What runs a model over a dataset: as it is, with a donor's states, or moved along directions."""
BY_WINDOWS = (
    "the lake knows the weights of {name} by windows of their large files, as earlier versions "
    "read them, and these are the same; runs on other datasets are known by every byte"
)


def identity_in(run: Mapping[str, Any]) -> dict[str, Any]:
    """What decided a run's numbers, by its row; nothing where the row does not say."""
    return dict(run["config"].get("identity", {}))


def runs_of(lake: Lake, model_id: str, dataset_id: str) -> list[dict[str, Any]]:
    """The runs that ran a model over a dataset, as `find_runs` gives them."""
    found = (find_runs(lake, command, model_id, dataset_id) for command in OF_A_MODEL)
    return list(chain.from_iterable(found))


def as_held(
    identity: dict[str, Any],
    held: Sequence[dict[str, Any]],
    source: ModelSource | GivenModel,
    *,
    new_prompt: bool,
) -> tuple[dict[str, Any], list[str]]:
    """An identity as a run that the lake holds states it, where an earlier version stated the same
    otherwise, and what is to be told of that; else as it is.

    Runs from before prompts were stored have a prompt that is what processor and question make of
    it. Where today's is another than it was (`new_prompt`) the two are told apart by it.
    """
    for model, notes in _stated(identity["model"], source) if held else ():
        found = identity | {"model": model}
        bare = {name: value for name, value in found.items() if name != "prompt"}
        for stated in (found,) if new_prompt else (found, bare):
            if stated in held:
                return stated, notes
    return identity, []


def _stated(
    model: dict[str, Any], source: ModelSource | GivenModel
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    yield model, []
    if isinstance(source, ModelSource) and (before := source.identity_by_windows(model)) != model:
        yield before, [BY_WINDOWS.format(name=source.name)]
    if isinstance(source, ModelSource):
        yield from ((before, []) for before in source.identities_by_weights(model))


def refuse_other_readouts(wh: Warehouse) -> None:
    """One name of a readout in a lake is one set of numbers, whichever package brings it."""
    brought = brought_readouts()
    for facts, identity in package_readouts(wh):
        here = brought.get(facts.name)
        if here is not None and (here.facts, here.identity) != (facts, identity):
            raise LayerhouseError(
                f"the lake holds another readout {facts.name!r}, of {identity}; use another lake, "
                f"or give that of {here.identity} another name"
            )


def refuse_brought(lake: Lake, model_id: str) -> None:
    """What another program took stands under its name, and both would be in the same cells."""
    if runs := find_runs(lake, "import", model_id):
        raise UsageError(
            f"{model_id} is a model whose states were brought with `layerhouse import`; run this "
            "one under another name, or take those out first (`layerhouse runs remove "
            f"{runs[0]['run_id']}`)"
        )
