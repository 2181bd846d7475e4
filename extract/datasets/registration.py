"""Datasets enter the lake here: one committed run per dataset, all rows or none."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extract.datasets.measuring import Measured, measure
from extract.datasets.reading import BUILTIN, default_name, is_source, read_source
from extract.datasets.source import Source, class_order
from extract.datasets.splits import (
    FRACTIONS,
    check_fractions,
    check_splits,
    complete_splits,
    joined_units,
    split_warnings,
)
from warehouse.catalogue.refreshing import connect
from warehouse.catalogue.samples import dataset as stored_dataset
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake.commits import list_commits
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.progress import Progress
from warehouse.vocabulary import SPLITS

COMMAND = "datasets-add"
_COMPARED = {"sha256": "image", "class_index": "class", "split": "split", "group_id": "group"}


@dataclass(frozen=True)
class AddResult:
    """What `add` did: `added` is False where the lake already held exactly this dataset."""

    dataset_id: str
    added: bool
    n_samples: int
    n_classes: int
    split_sizes: dict[str, int]
    warnings: tuple[str, ...]


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


@dataclass(frozen=True)
class _Checked:
    """A source that passed every check: the rows to write and what to tell the person."""

    classes: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    warnings: tuple[str, ...]


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
        f"no dataset is called {name_or_path!r}{nearest(name_or_path, {*known, *BUILTIN})}"
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
    *,
    title: str | None = None,
    licence: str | None = None,
    phrases: Mapping[str, str] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> AddResult:
    """Reads, checks and registers the images at `path` under `name`, in one committed run.

    `phrases` says how a class is spelled in the prompt (label → phrase; without it the label with
    spaces for `_` and `-`). `fractions` (train, val, test) and `seed` make the splits of a source
    that has none. The same content again adds nothing; from another place, or with another title,
    licence or other attributes, it updates those. Changed content under a known name is a
    LayerhouseError that shows the difference, as is everything wrong with the data itself.
    """
    _check_name(name, str(path))
    shares = check_fractions(fractions)
    source = read_source(str(path))
    measured = measure([item.uri for item in source.items], progress)
    checked = _check(name, source, measured, phrases or {}, shares, seed)
    known = registered(lake).get(name)
    entry = Registration(
        fingerprint=_fingerprint(checked),
        location=source.location,
        title=title or (known.title if known else source.title),
        licence=licence or (known.licence if known else source.licence),
        attributes=_hash(checked.attributes),
        revision=0 if known is None else known.revision,
    )
    if known and known.fingerprint != entry.fingerprint:
        raise LayerhouseError(
            f"dataset {name} is registered with other content ({_difference(lake, name, checked)});"
            " use another name"
        )
    if known and known != entry:
        entry = Registration(**{**asdict(entry), "revision": known.revision + 1})
    added = _write(lake, name, entry, checked)
    sizes = Counter(row["split"] for row in checked.samples)
    return AddResult(
        dataset_id=name,
        added=added,
        n_samples=len(checked.samples),
        n_classes=len(checked.classes),
        split_sizes={split: sizes[split] for split in SPLITS},
        warnings=checked.warnings,
    )


def _check_name(name: str, path: str) -> None:
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise UsageError(f"dataset name {name!r} may hold only lower-case letters, digits, _ and -")
    if name in BUILTIN and path != name:
        raise UsageError(f"{name} is the name of a built-in dataset; use another one")


def _check(
    name: str,
    source: Source,
    measured: Sequence[Measured],
    phrases: Mapping[str, str],
    shares: tuple[float, float, float],
    seed: int,
) -> _Checked:
    items = source.items
    names = [item.sample_id for item in items]
    labels = [item.label for item in items]
    groups = [item.group_id or item.sample_id for item in items]
    hashes = [image.sha256 for image in measured]
    classes = _class_rows(name, source.labels or class_order(labels), phrases)
    splits, notes = complete_splits(
        [item.split for item in items], labels, joined_units(groups, hashes), shares, seed
    )
    check_splits(labels, groups, splits)
    index = {row["label"]: row["class_index"] for row in classes}
    samples = [
        {
            "dataset_id": name,
            "sample_id": item.sample_id,
            "uri": item.uri,
            "sha256": image.sha256,
            "class_index": index[item.label],
            "split": split,
            "group_id": group,
            "width": image.width,
            "height": image.height,
        }
        for item, image, split, group in zip(items, measured, splits, groups, strict=True)
    ]
    attributes = [
        {"dataset_id": name, "sample_id": item.sample_id, "name": key, "value": value}
        for item in items
        for key, value in item.attributes.items()
    ]
    warnings = split_warnings(names, labels, groups, splits, hashes)
    return _Checked(classes, samples, attributes, (*source.notes, *notes, *warnings))


def _class_rows(
    name: str, labels: Sequence[str], phrases: Mapping[str, str]
) -> list[dict[str, Any]]:
    for label in phrases:
        if label not in labels:
            raise UsageError(f"no class is labelled {label!r}{nearest(label, labels)}")
    rows = [
        {
            "dataset_id": name,
            "class_index": index,
            "label": label,
            "phrase": phrases.get(label, re.sub(r"[_-]+", " ", label).strip() or label),
        }
        for index, label in enumerate(labels)
    ]
    spelled = Counter(str(row["phrase"]).casefold() for row in rows)
    phrase, times = spelled.most_common(1)[0]
    if times > 1:
        raise LayerhouseError(
            f"{times} classes are spelled {phrase!r}; give them different phrases"
        )
    return rows


def _write(lake: Lake, name: str, entry: Registration, checked: _Checked) -> bool:
    """Commits all rows at once; False where this very run was finished before."""
    spec = RunSpec(COMMAND, None, name, asdict(entry))
    row = {
        "dataset_id": name,
        "title": entry.title,
        "n_samples": len(checked.samples),
        "n_classes": len(checked.classes),
        "licence": entry.licence,
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


def _fingerprint(checked: _Checked) -> str:
    classes = [(row["label"], row["phrase"]) for row in checked.classes]
    samples = sorted(
        (row["sample_id"], row["sha256"], row["class_index"], row["split"], row["group_id"])
        for row in checked.samples
    )
    return _hash([classes, samples])


def _hash(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _difference(lake: Lake, name: str, checked: _Checked) -> str:
    """In words, what of the registered dataset `name` the checked source changes."""
    with connect(lake) as warehouse:
        stored = stored_dataset(warehouse, name)
    old_classes = [(row.label, row.phrase) for row in stored.classes]
    new_classes = [(row["label"], row["phrase"]) for row in checked.classes]
    old = {row["sample_id"]: row for row in stored.samples.to_dicts()}
    new = {row["sample_id"]: row for row in checked.samples}
    both = sorted(old.keys() & new.keys())
    changes = {
        "samples are new": sorted(new.keys() - old.keys()),
        "samples are gone": sorted(old.keys() - new.keys()),
    }
    for column, word in _COMPARED.items():
        changes[f"samples have another {word}"] = [
            key for key in both if old[key][column] != new[key][column]
        ]
    found = [f"{len(keys)} {what}, first {keys[0]}" for what, keys in changes.items() if keys]
    if old_classes != new_classes:
        found.append(f"classes {_spelled(old_classes)} became {_spelled(new_classes)}")
    return "; ".join(found)


def _spelled(classes: Sequence[tuple[str, str]]) -> str:
    return ", ".join(
        label if label == phrase else f"{label} ({phrase})" for label, phrase in classes
    )
