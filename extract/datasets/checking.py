"""Checks a source as a whole: its rows are written only where nothing is wrong with any of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.datasets.balance import check_score
from extract.datasets.groups import joined_units, refuse_one_group
from extract.datasets.labels import class_order, class_rows, label_warnings
from extract.datasets.measuring import Measured, measure
from extract.datasets.pixels import PixelOptions
from extract.datasets.shades import Rule, choose
from extract.datasets.source import Contents, Item, ReadOptions
from extract.datasets.splits import (
    FRACTIONS,
    check_classes,
    check_fractions,
    check_groups,
    complete_splits,
    group_warnings,
    split_warnings,
)
from extract.datasets.summary import Summary, summarised
from extract.datasets.usable import Images, refuse_unwritable, usable, write_rejected
from warehouse.catalogue import DatasetInfo
from warehouse.errors import LayerhouseError
from warehouse.images import FileState, parted
from warehouse.lake import mark_of
from warehouse.progress import Progress
from warehouse.vocabulary import BY_SPLIT, SPLITS

_COMPARED = {"sha256": "image", "class_index": "class", "split": "split", "group_id": "group"}


@dataclass(frozen=True)
class AddOptions:
    """What a person may say of a dataset that its source does not.

    `phrases` says how a class is spelled in the prompt (label → phrase; without it the label as
    `labels.spelled` has it). `fractions` (train, val, test) and `seed` make the splits of a source
    that has none. `reading` says how the source is to be read, `pixels` how its images are; `rule`
    is what was decided about them before, where a dataset shares it with others. `rejected` is a
    CSV file to list all images in that cannot be used, `score` what everything on the dataset rests
    on (default: as `balance.usual_score` has it).
    """

    title: str | None = None
    licence: str | None = None
    phrases: Mapping[str, str] = field(default_factory=dict)
    fractions: Sequence[float] = FRACTIONS
    seed: int = 0
    reading: ReadOptions = field(default_factory=ReadOptions)
    pixels: PixelOptions = field(default_factory=PixelOptions)
    rule: Rule | None = None
    rejected: Path | None = None
    score: str | None = None

    def __post_init__(self) -> None:
        check_score(self.score)
        check_fractions(self.fractions)


@dataclass(frozen=True)
class CheckedDataset:
    """A source that passed every check: the rows to write and what to tell the person."""

    classes: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    attributes: list[dict[str, Any]]
    files: list[dict[str, Any]]
    warnings: tuple[str, ...]
    summary: Summary
    pixel_rule: str | None = None
    readings: Mapping[str, str] = field(default_factory=dict)
    evaluation: str = BY_SPLIT
    n_folds: int | None = None

    @property
    def split_sizes(self) -> dict[str, int]:
        sizes = Counter(row["split"] for row in self.samples)
        return {split: sizes[split] for split in SPLITS}

    @property
    def fingerprint(self) -> str:
        """Identity of all that can change a number: images and how they are opened, classes,
        phrases, splits, groups."""
        classes = [(row["label"], row["phrase"]) for row in self.classes]
        samples = sorted(
            (row["sample_id"], row["sha256"], row["class_index"], row["split"], row["group_id"])
            for row in self.samples
        )
        # plain images have none, so that what is known of them by older lakes stays as it is
        readings = [sorted(self.readings.items())] if self.readings else []
        return _hash([classes, samples, *readings])

    @property
    def attributes_fingerprint(self) -> str:
        return _hash(self.attributes)


def decoded(
    contents: Contents, options: AddOptions, progress: Progress | None = None
) -> tuple[Contents, Images]:
    """The source with its frames as images of their own, and what is known of every image.

    Each is decoded once. UsageError where `options.pixels` asks for what no image has.
    """
    refuse_unwritable(contents)
    found = measure(contents.items, options.pixels, progress)
    contents = replace(contents, items=[item for item, _ in found])
    images = {item.uri: image for item, image in found}
    if options.rejected:
        write_rejected(options.rejected, contents, images)
    return contents, images


@dataclass(frozen=True)
class Dealt:
    """The usable images of a source with what was measured of each, and the group and the split of
    each; `notes` say what was made up.
    """

    contents: Contents
    measured: list[Measured]
    groups: list[str]
    splits: list[str]
    notes: list[str]

    def rule(self, pixels: PixelOptions) -> Rule:
        """What is decided about their pixels."""
        return choose(
            [item.uri for item in self.contents.items], self.measured, self.splits, pixels
        )


def dealt(
    contents: Contents,
    images: Images,
    options: AddOptions,
    labels_of: Callable[[Item], Sequence[str]],
) -> Dealt:
    """Deals images to the splits that their source does not say, every label of theirs alike.

    Raises LayerhouseError for images that cannot be used and for groups that cannot be kept whole.
    """
    contents, measured = usable(contents, images, options.reading.skip_bad)
    items = contents.items
    groups = [item.group_id or item.sample_id for item in items]
    refuse_one_group(contents, groups)
    check_groups(groups, [item.split or "" for item in items])
    splits, notes = complete_splits(
        [item.split for item in items],
        [labels_of(item) for item in items],
        joined_units(groups, [image.sha256 for image in measured]),
        check_fractions(options.fractions),
        options.seed,
    )
    return Dealt(contents, measured, groups, splits, notes)


def check(name: str, contents: Contents, images: Images, options: AddOptions) -> CheckedDataset:
    """Makes the rows of the dataset `name` of a source and its decoded images.

    Raises LayerhouseError for anything wrong with the data, UsageError for options that do not fit
    it.
    """
    found = dealt(contents, images, options, lambda item: [item.label or ""])
    contents, items = found.contents, found.contents.items
    measured, groups, splits = found.measured, found.groups, found.splits
    hashes = [image.sha256 for image in measured]
    classes = _classes(name, contents, splits, options.phrases)
    rule = options.rule or found.rule(options.pixels)
    index = {row["label"]: row["class_index"] for row in classes}
    samples = [
        _sample(name, item, image, rule)
        | {"class_index": index.get(item.label), "split": split, "group_id": group}
        for item, image, split, group in zip(items, measured, splits, groups, strict=True)
    ]
    return CheckedDataset(
        classes,
        samples,
        _attributes(name, items),
        file_rows(name, {i.sample_id: m.file for i, m in zip(items, measured, strict=True)}),
        (
            *contents.notes,
            *found.notes,
            *split_warnings(items, groups, splits, hashes),
            *group_warnings(items, groups, contents.groups_from),
            *label_warnings(classes),
            *rule.notes,
        ),
        summarised(classes, samples, measured, rule, contents.groups_from, contents.left_out),
        rule.said,
        _readings(samples, measured),
    )


def _sample(name: str, item: Item, image: Measured, rule: Rule) -> dict[str, Any]:
    return {
        "dataset_id": name,
        "sample_id": item.sample_id,
        "uri": rule.uri(item.uri, image),
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
    }


def _readings(samples: Sequence[Mapping[str, Any]], images: Sequence[Measured]) -> dict[str, str]:
    """How images are opened, for those that are not opened plainly."""
    found = {
        row["sample_id"]: f"{parted(row['uri'])[1]} {image.reading}".strip()
        for row, image in zip(samples, images, strict=True)
    }
    return {name: reading for name, reading in found.items() if reading}


def _classes(
    name: str, contents: Contents, splits: Sequence[str], phrases: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of table `class`, none for images without labels."""
    labels = [item.label for item in contents.items if item.label is not None]
    if not labels:
        return class_rows(name, (), phrases)
    if len(labels) < len(contents.items):
        unlabelled = next(item for item in contents.items if item.label is None)
        raise LayerhouseError(
            f"{unlabelled.sample_id} of {contents.location} has no label, others have"
        )
    order = contents.labels or class_order(labels)
    known = {label: phrase for label, phrase in contents.phrases.items() if label in order}
    rows = class_rows(name, order, {**known, **phrases})
    check_classes(labels, splits)
    return rows


def _attributes(name: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    return [
        {"dataset_id": name, "sample_id": item.sample_id, "name": key, "value": value}
        for item in items
        for key, value in item.attributes.items()
    ]


def file_rows(name: str, states: Mapping[str, FileState | None]) -> list[dict[str, Any]]:
    """The rows of table `image_file`, by sample the state of its file."""
    return [
        {
            "dataset_id": name,
            "sample_id": sample_id,
            "n_bytes": state.n_bytes,
            "modified_ns": state.modified_ns,
        }
        for sample_id, state in states.items()
        if state is not None
    ]


def _hash(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def without(checked: CheckedDataset, marks: Collection[str]) -> CheckedDataset:
    """The dataset without samples of these marks, which were removed from it."""

    def left(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if mark_of(row["sample_id"]) not in marks] if marks else rows

    samples = left(checked.samples)
    n = len(checked.samples) - len(samples)
    note = (f"{n:,} samples that were removed from the dataset are left out",) if n else ()
    return replace(
        checked,
        samples=samples,
        attributes=left(checked.attributes),
        files=left(checked.files),
        readings={
            name: said for name, said in checked.readings.items() if mark_of(name) not in marks
        },
        warnings=(*checked.warnings, *note),
    )


def difference(stored: DatasetInfo, checked: CheckedDataset) -> str:
    """In words, what of a registered dataset the checked one changes."""
    found = changes(stored, checked)
    if not found:
        key, reading = next(iter(checked.readings.items()), ("", ""))
        found.append(f"an earlier Layerhouse did not read its {reading}, first {key}")
    return "; ".join(found)


def changes(stored: DatasetInfo, checked: CheckedDataset) -> list[str]:
    """The same one by one, as far as the lake says it."""
    old_classes = [(row.label, row.phrase) for row in stored.classes]
    new_classes = [(row["label"], row["phrase"]) for row in checked.classes]
    old = {row["sample_id"]: row for row in stored.samples.to_dicts()}
    new = {row["sample_id"]: row for row in checked.samples}
    both = sorted(old.keys() & new.keys())
    differing = {
        "samples are new": sorted(new.keys() - old.keys()),
        "samples are gone": sorted(old.keys() - new.keys()),
    }
    for column, word in _COMPARED.items():
        differing[f"samples have another {word}"] = [
            key for key in both if old[key][column] != new[key][column]
        ]
    differing["samples are opened otherwise"] = [
        key for key in both if parted(old[key]["uri"])[1] != parted(new[key]["uri"])[1]
    ]
    found = [f"{len(keys)} {what}, first {keys[0]}" for what, keys in differing.items() if keys]
    if old_classes != new_classes:
        found.append(f"classes {_spelled(old_classes)} became {_spelled(new_classes)}")
    return found


def _spelled(classes: Sequence[tuple[str, str]]) -> str:
    return ", ".join(
        label if label == phrase else f"{label} ({phrase})" for label, phrase in classes
    )
