"""Importing: answers that another harness has, as a method of their own beside those of our runs.

All of a file becomes visible in one commit or nothing does. What is not certain is refused: whose
answers they are, of which samples, and whether these are the images that the file means.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.answers.columns import find_columns
from extract.answers.files import harness_of, read_rows
from extract.answers.matching import SampleNames
from extract.answers.models import model_row
from extract.answers.reading import ReadRecord, RecordReader, as_logprobs, kind_of_scores
from extract.answers.records import Record, records, strange_ends
from extract.answers.rows import imported_row, method_name
from extract.datasets import ReadOptions
from extract.sharing import Seen, find_seen
from warehouse.catalogue import DatasetInfo, Warehouse, dataset, labelled, open_tables
from warehouse.errors import LayerhouseError
from warehouse.files import checksum
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive, find_runs
from warehouse.vocabulary import IMPORTED, SAYS_SEEN

COMMAND = "answers-import"


@dataclass(frozen=True)
class ImportOptions:
    """How a file of answers is meant.

    `name` becomes the method `imported:<name>`, by default the harness' or the file's; `title` is
    that of a model the lake does not know. `columns` say which column is meant by a role (`none`:
    no column is); `letters` that the question listed the classes under letters, in their order;
    `skip_unknown` leaves out what names no sample; `trained_on` says what the model saw in
    training, as for `extract`. The rest is for text files, as `extract.datasets.ReadOptions` has
    it.
    """

    name: str | None = None
    title: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    letters: bool = False
    skip_unknown: bool = False
    trained_on: Sequence[str] = ()
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True)
class ImportSummary:
    """What an import did; `added` is False where the lake held the file's answers already.

    `n_parsed` of the `n` answers name a class; `notes` are worth showing.
    """

    run_id: str
    model_id: str
    dataset_id: str
    method: str
    added: bool
    n: int
    n_parsed: int
    notes: tuple[str, ...]


def import_answers(
    lake: Lake, path: Path, model_id: str, dataset_id: str, options: ImportOptions
) -> ImportSummary:
    """Add a file's answers of one model on one dataset to the lake.

    Raises UsageError for what cannot be meant, LayerhouseError for all that is wrong with the file.
    """
    reading = ReadOptions(encoding=options.encoding, delimiter=options.delimiter)
    table = read_rows(path, reading)
    method = IMPORTED + method_name(options.name or harness_of(table) or path.stem)
    columns = find_columns(table, options.columns)
    with open_tables(lake) as wh:
        info = labelled(dataset(wh, dataset_id), "an answer")
        row = model_row(wh, model_id, options.title)
        seen = _seen(wh, info, model_id, options)
    named = SampleNames.of(lake, info)
    told = list(records(table, columns))
    left = [one for one in told if not named.is_removed(one.sample)]
    found, notes = _matched(left, named, info, options, path)
    if n := len(told) - len(left):
        notes.append(f"{n:,} rows of samples that were removed were left out")
    for end, n in strange_ends(table, columns).items():
        notes.append(f"{n:,} replies ended by {end!r}, which is not known; they are read as whole")
    read = RecordReader(info.classes, options.letters).read_all(found)
    _refuse_other_labels(read, info, path)
    _refuse_numbers(read, info, path)
    notes = [f"{path.name}: {columns.said()}", *notes, *_about(read, info, path), *seen.notes]
    config = {
        "method": method,
        "file": path.name,
        "sha256": checksum(path),
        "columns": dict(columns.by_role),
        "letters": options.letters,
        "skip_unknown": options.skip_unknown,
    }
    spec = RunSpec(COMMAND, model_id, dataset_id, config)
    answers = [imported_row(model_id, dataset_id, method, one) for one in as_logprobs(read)]
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked:
        added = _write(lake, spec, looked, {"model": [row], "answer": answers}, seen)
    n_parsed = sum(row["parsed"] for row in answers)
    return ImportSummary(
        spec.run_id, model_id, dataset_id, method, added, len(answers), n_parsed, tuple(notes)
    )


def _seen(wh: Warehouse, info: DatasetInfo, model_id: str, options: ImportOptions) -> Seen:
    """What the model saw in training. Raises LayerhouseError where the lake says otherwise."""
    seen = find_seen(wh, info, None, options.trained_on, model_id)
    seen.refuse_other(model_id, info.dataset_id)
    return seen


def _write(
    lake: Lake,
    spec: RunSpec,
    looked: frozenset[str],
    tables: dict[str, list[dict[str, Any]]],
    seen: Seen,
) -> bool:
    """Commit all rows at once; False where the lake has them.

    What the model saw goes with them where anything is known of that, or alone where an earlier
    import did not say it.
    """
    known = seen.rows(str(spec.model_id), str(spec.dataset_id))
    covers = {SAYS_SEEN: len(seen.known)} if known else {}
    with RunWriter(lake, spec, looked) as writer:
        if writer.is_finished:
            is_new = bool(known) and seen.recorded is None
            if is_new:
                writer.reopen()
                writer.commit(known, covers=covers, finished=True)
            return is_new
        for run in find_runs(lake, COMMAND, spec.model_id, spec.dataset_id):
            is_other = run["run_id"] != spec.run_id
            if is_other and run["config"].get("method") == spec.config["method"]:
                raise LayerhouseError(
                    f"the lake holds answers {spec.config['method']} of {spec.model_id} on "
                    f"{spec.dataset_id} already, from {run['config'].get('file')}; give these "
                    f"another --name, or take those out with `layerhouse runs remove "
                    f"{run['run_id']}`"
                )
        writer.commit(tables | known, covers=covers, finished=True)
    return True


def _matched(
    found: Sequence[Record],
    names: SampleNames,
    info: DatasetInfo,
    options: ImportOptions,
    path: Path,
) -> tuple[list[Record], list[str]]:
    """One record for each sample, called by its id; notes on what was left out."""
    by_sample: dict[str, Record] = {}
    unknown: list[Record] = []
    silent = by_file = 0
    for record in found:
        try:
            sample = names.find(record.sample)
        except LayerhouseError as error:
            raise LayerhouseError(f"{record.place}: {error}") from error
        if sample is None:
            unknown.append(record)
            continue
        by_file += sample != record.sample
        if not record.replies and record.scores is None:
            silent += 1
            continue
        before = by_sample.setdefault(sample, replace(record, sample=sample))
        if (before.replies, before.scores) != (record.replies, record.scores):
            raise LayerhouseError(
                f"{path} has several replies for the sample {sample} ({before.place} and "
                f"{record.place}); the lake keeps one: leave one line for each sample, or name the "
                "column that holds the one that counts with --column reply=…"
            )
    _refuse_unknown(unknown, by_sample, info, options, path)
    left = f"{silent:,} rows without a reply were left out" if silent else ""
    skipped = f"{len(unknown):,} rows that name no sample were left out" if unknown else ""
    matched = f"{by_file:,} rows were matched by the names of their files" if by_file else ""
    return list(by_sample.values()), [note for note in (matched, skipped, left) if note]


def _refuse_unknown(
    unknown: Sequence[Record],
    known: Mapping[str, Record],
    info: DatasetInfo,
    options: ImportOptions,
    path: Path,
) -> None:
    if unknown and not (known and options.skip_unknown):
        way_out = (
            "--skip-unknown leaves them out"
            if known
            else "name the column that says it with --column sample=…, or the right --dataset"
        )
        raise LayerhouseError(
            f"{len(unknown):,} of {len(unknown) + len(known):,} rows of {path} name no sample of "
            f"{info.dataset_id}, first {unknown[0].sample!r} ({unknown[0].place}); its samples are "
            f"called like {info.samples['sample_id'][0]}: {way_out}"
        )
    if not known:
        raise LayerhouseError(f"{path} holds no reply to any sample of {info.dataset_id}")


def _refuse_other_labels(read: Sequence[ReadRecord], info: DatasetInfo, path: Path) -> None:
    """A file whose own labels are not the dataset's is about other images, or other classes."""
    truth = dict(info.samples.select("sample_id", "class_index").iter_rows())
    others = [
        one for one in read if one.label is not None and one.label != truth[one.record.sample]
    ]
    if others:
        first, labels = others[0], [row.label for row in info.classes]
        n = sum(one.label is not None for one in read)
        raise LayerhouseError(
            f"the labels of {path} contradict those of {info.dataset_id} for {len(others):,} of "
            f"{n:,} samples, first {first.record.sample} ({first.record.place}): "
            f"{labels[first.label or 0]} there, {labels[truth[first.record.sample]]} here; they "
            "may be other images or another order of classes: --column label=none imports them "
            "all the same"
        )


_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?|true|false", re.IGNORECASE)


def _refuse_numbers(read: Sequence[ReadRecord], info: DatasetInfo, path: Path) -> None:
    """Numbers for classes, which are called otherwise, would count as replies that name none."""
    if all(one.predicted is None and _NUMBER.fullmatch((one.reply or "").strip()) for one in read):
        labels = ", ".join(row.label for row in info.classes)
        raise LayerhouseError(
            f"the replies of {path} are numbers, first {read[0].reply!r} ({read[0].record.place}), "
            f"and {info.dataset_id} has no class that is called so; write the names of its classes "
            f"({labels}) in their place, or, where the question listed them under numbers, give it "
            "in a column (--column question=…)"
        )


def _about(read: Sequence[ReadRecord], info: DatasetInfo, path: Path) -> list[str]:
    """What is worth knowing of answers that were imported."""
    n, notes = len(read), []
    if n < len(info.samples):
        held = {one.record.sample for one in read}
        missing = info.samples.filter(~info.samples["sample_id"].is_in(list(held)))
        by_split = ", ".join(f"{k} {v:,}" for k, v in sorted(Counter(missing["split"]).items()))
        notes.append(
            f"{len(missing):,} of {len(info.samples):,} samples of {info.dataset_id} have no "
            f"answer in {path.name} ({by_split})"
        )
    compared = sum(one.label is not None for one in read)
    said = sum(one.record.label is not None for one in read)
    if said and compared < n:
        notes.append(
            f"the file's own labels could be compared with the dataset's for {compared:,} of "
            f"{n:,} samples"
        )
    if (kind := kind_of_scores(read)) is not None:
        notes.append(f"scores are taken as {kind}")
    bare = sum(one.is_bare_letter for one in read)
    if bare:
        notes.append(
            f"{bare:,} replies are one letter, and nothing says which class it stands for: "
            "--letters reads A, B, … as the classes in order"
        )
    return notes
