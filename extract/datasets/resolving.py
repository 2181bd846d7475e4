"""From what a person typed to the id of a registered dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from extract.datasets.checking import file_rows
from extract.datasets.measuring import read_otherwise
from extract.datasets.naming import COMMAND, unknown_dataset
from extract.datasets.reading import default_name, is_source, location_of
from extract.datasets.registration import READING, Registration, add, registered
from extract.datasets.remaking import stored_rows
from extract.datasets.remembering import is_finding, options_of
from warehouse.catalogue import changed_samples, dataset, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import file_state
from warehouse.lake import Lake, RunSpec, RunWriter


def resolve(
    lake: Lake,
    name_or_path: str,
    *,
    warn: Callable[[str], object] | None = None,
) -> str:
    """The dataset id behind what a person typed; `warn` is told what they should read of it.

    A registered name is itself. The built-in `digits` registers on first use, and so does a path
    (under `default_name`). A path that is registered is read again as it was then, with the options
    that were given, and compared with what is in the lake. UsageError with the nearest names for
    anything else, and for a path that several datasets are of; LayerhouseError where an earlier
    version registered images that it read otherwise, so that no two runs on a dataset saw different
    pixels.
    """
    known = registered(lake)
    if name_or_path in known:
        return _as_it_is(lake, name_or_path, known)
    if is_source(name_or_path):
        name = _name_at(name_or_path, known)
        kept = known[name].options if name in known else None
        if is_finding(kept):
            return _as_it_is(lake, name, known)
        is_there = name in known and _is_at(known[name], name_or_path)
        place = known[name].location if is_there else name_or_path
        result = add(lake, name, place, options_of(kept))
        if warn is not None and result.added:
            for warning in result.warnings:
                warn(warning)
        return result.dataset_id
    raise unknown_dataset(name_or_path, known)


def _name_at(typed: str, known: Mapping[str, Registration]) -> str:
    """The name that the source is registered under, or would be."""
    usual = default_name(typed)
    there = sorted(name for name, one in known.items() if _is_at(one, typed))
    if usual in known or not there:
        return usual
    if len(there) > 1:
        raise UsageError(
            f"{typed} is registered as {', '.join(there)}; give one of these names instead"
        )
    return there[0]


def _is_at(one: Registration, typed: str) -> bool:
    """Whether a source is where a registration says, however its path is written."""
    return os.path.normpath(one.location) == os.path.normpath(location_of(typed))


def _as_it_is(lake: Lake, name: str, known: Mapping[str, Registration]) -> str:
    if known[name].reading < READING:
        _look_again(lake, name, known[name])
    return name


def _look_again(lake: Lake, name: str, entry: Registration) -> None:
    """Looks once at what an earlier version registered, and notes that its images are the same.

    LayerhouseError where it read some of them otherwise. Where some are others now, nothing is
    noted: whoever reads images refuses them.
    """
    with open_tables(lake) as warehouse:
        samples = dataset(warehouse, name).samples
        changed = read_otherwise(samples["uri"].to_list(), entry.reading)
        if changed:
            uri, reading = next(iter(changed.items()))
            raise LayerhouseError(
                f"dataset {name} was registered by an earlier Layerhouse, which read "
                f"{len(changed):,} of its images otherwise ({reading}, first {uri}); add it again "
                "under another name"
            )
        # before they are hashed: what changes meanwhile is found later
        states = {row["sample_id"]: file_state(row["uri"]) for row in samples.to_dicts()}
        if changed_samples(warehouse, name):
            return
    # all rows, so that this registration stands without the earlier one
    rows = stored_rows(lake, name)
    noted = replace(entry, reading=READING, revision=entry.revision + 1).covers()
    with RunWriter(lake, RunSpec(COMMAND, None, name, noted)) as writer:
        if not writer.is_done:
            rows["image_file"] = file_rows(name, states)
            writer.commit({table: own for table, own in rows.items() if own}, covers=noted)
        writer.finish()
