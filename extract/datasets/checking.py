"""Checks a source as a whole: its rows are written only where nothing is wrong with any of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.datasets.groups import joined_units
from extract.datasets.labels import class_order, class_rows
from extract.datasets.pixels import measure
from extract.datasets.source import Contents
from extract.datasets.splits import (
    FRACTIONS,
    check_fractions,
    check_splits,
    complete_splits,
    split_warnings,
)
from extract.datasets.summary import Summary, summarised
from warehouse.catalogue import DatasetInfo
from warehouse.progress import Progress
from warehouse.vocabulary import SPLITS

_COMPARED = {"sha256": "image", "class_index": "class", "split": "split", "group_id": "group"}


@dataclass(frozen=True)
class AddOptions:
    """What a person may say of a dataset that its source does not.

    `phrases` says how a class is spelled in the prompt (label → phrase; without it the label with
    spaces for `_` and `-`). `fractions` (train, val, test) and `seed` make the splits of a source
    that has none.
    """

    title: str | None = None
    licence: str | None = None
    phrases: Mapping[str, str] = field(default_factory=dict)
    fractions: Sequence[float] = FRACTIONS
    seed: int = 0

    def __post_init__(self) -> None:
        check_fractions(self.fractions)


@dataclass(frozen=True)
class CheckedDataset:
    """A source that passed every check: the rows to write and what to tell the person."""

    classes: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    warnings: tuple[str, ...]
    summary: Summary
    pixel_rule: str | None = None

    @property
    def split_sizes(self) -> dict[str, int]:
        sizes = Counter(row["split"] for row in self.samples)
        return {split: sizes[split] for split in SPLITS}

    @property
    def fingerprint(self) -> str:
        """Identity of all that can change a number: images, classes, phrases, splits, groups."""
        classes = [(row["label"], row["phrase"]) for row in self.classes]
        samples = sorted(
            (row["sample_id"], row["sha256"], row["class_index"], row["split"], row["group_id"])
            for row in self.samples
        )
        return _hash([classes, samples])

    @property
    def attributes_fingerprint(self) -> str:
        return _hash(self.attributes)


def check(
    name: str, contents: Contents, options: AddOptions, progress: Progress | None = None
) -> CheckedDataset:
    """Decodes every image and makes the rows of the dataset `name`.

    Raises LayerhouseError for anything wrong with the data, UsageError for options that do not fit
    it.
    """
    shares = check_fractions(options.fractions)
    items = contents.items
    measured = measure([item.uri for item in items], progress)
    names = [item.sample_id for item in items]
    labels = [item.label for item in items]
    groups = [item.group_id or item.sample_id for item in items]
    hashes = [image.sha256 for image in measured]
    classes = class_rows(name, contents.labels or class_order(labels), options.phrases)
    splits, notes = complete_splits(
        [item.split for item in items], labels, joined_units(groups, hashes), shares, options.seed
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
    return CheckedDataset(
        classes,
        samples,
        attributes,
        (*contents.notes, *notes, *warnings),
        summarised(classes, samples, measured),
    )


def _hash(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def difference(stored: DatasetInfo, checked: CheckedDataset) -> str:
    """In words, what of a registered dataset the checked one changes."""
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
