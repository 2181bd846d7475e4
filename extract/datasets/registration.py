"""Datasets enter the lake here: one committed run per dataset, all rows or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from extract.datasets.balance import score_said, usual_score
from extract.datasets.checking import (
    AddOptions,
    CheckedDataset,
    changes,
    check,
    decoded,
    difference,
    without,
)
from extract.datasets.naming import COMMAND
from extract.datasets.per_label import per_label, several_labels
from extract.datasets.reading import as_typed, offered, read_source
from extract.datasets.remembering import said
from extract.datasets.source import Contents
from extract.datasets.splits import SplitError
from extract.datasets.summary import Summary
from extract.datasets.usable import Images
from warehouse.catalogue import DatasetInfo, dataset, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, RunWriter, list_commits, removed_samples
from warehouse.progress import Progress
from warehouse.vocabulary import ACCURACY

READING = 4
"""How images are read, as registrations note it: 1 knew no transparency nor DICOM's colours, 2 none
of pixels that are not square.
"""


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
    the rest may be updated, each update being a `revision` of its own. `as_added` is the
    fingerprint before near-duplicates were united into groups: what its source still has.
    `options` is what a person said of its source beside that (`remembering.said`). `score` is None
    where none was chosen, since an older version registered it: that is accuracy.
    """

    fingerprint: str
    location: str
    title: str
    licence: str | None
    attributes: str
    revision: int
    reading: int = 1
    as_added: str | None = None
    options: Mapping[str, Any] | None = None
    score: str | None = None

    def covers(self) -> dict[str, Any]:
        """As a commit notes it; what no older lake knows only where it says something."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None or name not in ("as_added", "options", "score")
        }


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


def fingerprints_of(lake: Lake, dataset_id: str) -> list[str]:
    """What covers all of a dataset that can change a number, and what did before its samples were
    dealt to folds or put into other groups; that of today is the first.

    Raises LayerhouseError for one that was removed since it was looked up.
    """
    said = [
        Registration(**commit.covers)
        for commit in list_commits(lake, command=COMMAND, dataset_id=dataset_id)
        if "fingerprint" in commit.covers
    ]
    if not said:
        raise LayerhouseError(
            f"the dataset {dataset_id} was removed from {lake} meanwhile; add it again first"
        )
    latest = sorted(said, key=lambda entry: -entry.revision)
    return list(dict.fromkeys(entry.fingerprint for entry in latest))


def add(
    lake: Lake,
    name: str,
    path: str | Path,
    options: AddOptions | None = None,
    progress: Progress | None = None,
) -> AddResult:
    """Reads, checks and registers the images at `path` under `name`, in one committed run.

    The same content again adds nothing; from another place, or with another title, licence or other
    attributes, it updates those. Phrases that were given once stay until others are given. Changed
    content under a known name is a LayerhouseError that shows the difference, as is everything
    wrong with the data itself. `progress(done, total)` is called after every image.
    """
    check_name(name, str(path))
    options = options or AddOptions()
    contents = read_source(str(path), options.reading)
    if contents.findings:
        raise LayerhouseError(several_labels(name, str(path), contents, as_typed(options.reading)))
    contents, images = decoded(contents, options, progress)
    return _register(lake, name, contents, images, options)


def add_per_label(
    lake: Lake,
    name: str,
    path: str | Path,
    options: AddOptions | None = None,
    progress: Progress | None = None,
) -> list[AddResult]:
    """Registers one dataset per finding of the images at `path`: is it there, yes or no?

    All have the same images, decoded once, and the same splits; each is called `name`_finding.
    Findings that cannot be examined (a class that train lacks) are left out, which the warnings of
    the first result say; LayerhouseError where none is left, and for everything that `add` refuses.
    """
    check_name(name, str(path))
    options = options or AddOptions()
    contents = read_source(str(path), options.reading)
    contents, images = decoded(contents, options, progress)
    parts = per_label(name, contents, images, options)
    results, refused = [], []
    for part in parts:
        try:
            results.append(_register(lake, part.name, part.contents, images, part.options))
        except SplitError as error:
            refused.append(f"{part.finding} was left out: {error}")
    if not results:
        raise LayerhouseError(f"no finding of {path} can be examined: {'; '.join(refused)}")
    first = replace(results[0], warnings=(*refused, *results[0].warnings))
    return [first, *results[1:]]


def _register(
    lake: Lake, name: str, contents: Contents, images: Images, options: AddOptions
) -> AddResult:
    known, stored = registered(lake).get(name), None
    if known:
        with open_tables(lake) as warehouse:
            stored = dataset(warehouse, name)
        spelled = {row.label: row.phrase for row in stored.classes}
        contents = replace(contents, phrases={**contents.phrases, **spelled})
    whole = check(name, contents, images, options)
    marks = removed_samples(lake).get(name, {})
    checked = without(whole, marks)
    fingerprint = checked.fingerprint
    if known and stored and known.as_added == whole.fingerprint:
        checked, fingerprint = _as_remade(checked, stored), known.fingerprint
    elif known and stored and marks and not changes(stored, checked):
        fingerprint = known.fingerprint  # which was that of all samples
    entry = _entry(contents, checked, fingerprint, options, known)
    if known and stored and known.fingerprint != entry.fingerprint:
        raise LayerhouseError(
            f"dataset {name} is registered with other content ({difference(stored, checked)}); "
            f"`--dataset {quote(name)}` goes on with what is registered; else use another name, or "
            f"take it out with `layerhouse datasets remove {quote(name)}` first"
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
        summary=_with_score(checked, entry.score or ACCURACY),
    )


def _entry(
    contents: Contents,
    checked: CheckedDataset,
    fingerprint: str,
    options: AddOptions,
    known: Registration | None,
) -> Registration:
    """What is registered; what nobody says again stays as it is known."""
    new = Registration(
        fingerprint=fingerprint,
        location=contents.location,
        title=options.title or contents.title,
        licence=options.licence or contents.licence,
        attributes=checked.attributes_fingerprint,
        revision=0,
        reading=READING,
        options=said(options),
        score=options.score or usual_score(checked.samples, len(checked.classes)),
    )
    if known is None:
        return new
    return replace(
        new,
        title=options.title or known.title,
        licence=options.licence or known.licence,
        revision=known.revision,
        as_added=known.as_added,
        score=options.score or known.score,
    )


def _with_score(checked: CheckedDataset, score: str) -> Summary:
    """What was understood, with the score that the dataset got of it."""
    summary = checked.summary
    if not checked.classes:
        return summary
    said_of_it = score_said(score, checked.samples, checked.classes)
    return replace(summary, facts={**summary.facts, "Score": said_of_it})


def _as_remade(checked: CheckedDataset, stored: DatasetInfo) -> CheckedDataset:
    """The dataset with its near-duplicates united and its folds dealt, as they are in the lake."""
    remade = ["group_id", "split", "given_split"]
    stored_of = {
        row.pop("sample_id"): row for row in stored.samples.select("sample_id", *remade).to_dicts()
    }
    samples = [{**row, **stored_of[row["sample_id"]]} for row in checked.samples]
    return replace(checked, samples=samples, evaluation=stored.evaluation, n_folds=stored.n_folds)


def check_name(name: str, path: str) -> None:
    if not re.fullmatch(r"[a-z0-9_-]{1,200}", name):  # folders are called so
        raise UsageError(
            f"dataset name {name[:200]!r} may hold only lower-case letters, digits, _ and -, at "
            "most 200 of them"
        )
    if name in offered() and path != name:
        raise UsageError(f"{name} is the name of a built-in dataset; use another one")


def _write(lake: Lake, name: str, entry: Registration, checked: CheckedDataset) -> bool:
    """Commits all rows at once; False where this very run was finished before."""
    spec = RunSpec(COMMAND, None, name, entry.covers())
    row = {
        "dataset_id": name,
        "title": entry.title,
        "n_samples": len(checked.samples),
        "n_classes": len(checked.classes),
        "licence": entry.licence,
        "pixel_rule": checked.pixel_rule,
        "evaluation": checked.evaluation,
        "n_folds": checked.n_folds,
        "score": entry.score or ACCURACY,
    }
    with RunWriter(lake, spec) as writer:
        if writer.is_finished:
            return False
        if not writer.is_done:  # else it was stopped just before it finished
            tables: dict[str, Any] = {
                "dataset": [row],
                "class": checked.classes,
                "sample": checked.samples,
                "sample_attribute": checked.attributes,
                "image_file": checked.files,
            }
            tables = {table: rows for table, rows in tables.items() if rows}
            writer.commit(tables, covers=entry.covers())
        writer.finish()
    return True
