"""Datasets enter the lake here: one committed run per dataset, all rows or none."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from extract.datasets.checking import AddOptions, CheckedDataset, check, difference
from extract.datasets.reading import default_name, is_source, offered, read_source
from extract.datasets.summary import Summary
from warehouse.catalogue import connect, dataset
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import Lake, RunSpec, RunWriter, list_commits
from warehouse.progress import Progress

COMMAND = "datasets-add"


@dataclass(frozen=True)
class AddResult:
    """What `add` did: `added` is False where the lake already held exactly this dataset."""

    dataset_id: str
    added: bool
    n_samples: int
    n_classes: int
    split_sizes: dict[str, int]
    warnings: tuple[str, ...]
    summary: Summary


@dataclass(frozen=True)
class Registration:
    """A dataset as its newest commit describes it.

    `fingerprint` covers all that can change a number (images, classes, phrases, splits, groups);
    the rest may be updated, each update being a `revision` of its own.
    """

    fingerprint: str
    location: str
    title: str
    licence: str | None
    attributes: str
    revision: int


def resolve(lake: Lake, name_or_path: str, *, progress: Progress | None = None) -> str:
    """The dataset id behind what a person typed.

    A registered name is itself. The built-in `digits` registers on first use, and so does a path
    (under `default_name`), whose content is compared with what was registered before. UsageError
    with the nearest names for anything else.
    """
    known = registered(lake)
    if name_or_path in known:
        return name_or_path
    if is_source(name_or_path):
        return add(lake, default_name(name_or_path), name_or_path, progress=progress).dataset_id
    raise UsageError(
        f"no dataset is called {name_or_path!r}{nearest(name_or_path, {*known, *offered()})}"
    )


def registered(lake: Lake) -> dict[str, Registration]:
    """All datasets of the lake by id, read from the commit records alone."""
    found: dict[str, Registration] = {}
    for commit in list_commits(lake, command=COMMAND):
        if commit.dataset_id is None or "fingerprint" not in commit.covers:
            continue  # the closing commit of a run
        entry = Registration(**commit.covers)
        known = found.get(commit.dataset_id)
        if known is None or entry.revision > known.revision:
            found[commit.dataset_id] = entry
    return found


def add(
    lake: Lake,
    name: str,
    path: str | Path,
    options: AddOptions | None = None,
    progress: Progress | None = None,
) -> AddResult:
    """Reads, checks and registers the images at `path` under `name`, in one committed run.

    The same content again adds nothing; from another place, or with another title, licence or other
    attributes, it updates those. Changed content under a known name is a LayerhouseError that shows
    the difference, as is everything wrong with the data itself. `progress(done, total)` is called
    after every image.
    """
    _check_name(name, str(path))
    options = options or AddOptions()
    contents = read_source(str(path))
    checked = check(name, contents, options, progress)
    known = registered(lake).get(name)
    entry = Registration(
        fingerprint=checked.fingerprint,
        location=contents.location,
        title=options.title or (known.title if known else contents.title),
        licence=options.licence or (known.licence if known else contents.licence),
        attributes=checked.attributes_fingerprint,
        revision=0 if known is None else known.revision,
    )
    if known and known.fingerprint != entry.fingerprint:
        with connect(lake) as warehouse:
            changes = difference(dataset(warehouse, name), checked)
        raise LayerhouseError(
            f"dataset {name} is registered with other content ({changes}); use another name"
        )
    if known and known != entry:
        entry = replace(entry, revision=known.revision + 1)
    added = _write(lake, name, entry, checked)
    return AddResult(
        dataset_id=name,
        added=added,
        n_samples=len(checked.samples),
        n_classes=len(checked.classes),
        split_sizes=checked.split_sizes,
        warnings=checked.warnings,
        summary=checked.summary,
    )


def _check_name(name: str, path: str) -> None:
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise UsageError(f"dataset name {name!r} may hold only lower-case letters, digits, _ and -")
    if name in offered() and path != name:
        raise UsageError(f"{name} is the name of a built-in dataset; use another one")


def _write(lake: Lake, name: str, entry: Registration, checked: CheckedDataset) -> bool:
    """Commits all rows at once; False where this very run was finished before."""
    spec = RunSpec(COMMAND, None, name, asdict(entry))
    row = {
        "dataset_id": name,
        "title": entry.title,
        "n_samples": len(checked.samples),
        "n_classes": len(checked.classes),
        "licence": entry.licence,
        "pixel_rule": checked.pixel_rule,
    }
    with RunWriter(lake, spec) as writer:
        if writer.is_finished:
            return False
        if not writer.committed:  # else it was stopped just before it finished
            tables: dict[str, Any] = {
                "dataset": [row],
                "class": checked.classes,
                "sample": checked.samples,
            }
            if checked.attributes:
                tables["sample_attribute"] = checked.attributes
            writer.commit(tables, covers=asdict(entry))
        writer.finish()
    return True
