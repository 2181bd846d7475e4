"""Samples that a model saw in training: they are no evidence of what it can do."""

import csv
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import polars as pl

from extract.models import MEND_RECORD, TRAINING_RECORD, GivenModel, ModelSource
from warehouse.catalogue import DatasetInfo, Warehouse
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import list_commits
from warehouse.untrusted import read_object
from warehouse.variants import MEND, bases_of, taken_apart
from warehouse.vocabulary import BRINGS_ANSWERS, SAYS_SEEN, SPLITS

IMAGE = re.compile(r"[0-9a-fA-F]{16,64}")
YES, NO = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})
KEYS = ("sample_id", "group_id")


@dataclass(frozen=True)
class Seen:
    """The samples to be scored that are left out, `sample_ids`, and what is to be read of that.

    `known` are all that the model saw, whatever their split: other samples may be scored later.
    `recorded` is how many of them a lake that knows of any says, None where it knows nothing.
    """

    sample_ids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    recorded: int | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether the lake has it as it is."""
        return self.recorded == len(self.known)

    def refuse_other(self, model_id: str, dataset_id: str) -> None:
        """Raise LayerhouseError where the lake says otherwise: verdicts rest on what it says."""
        if self.recorded is not None and not self.is_recorded:
            raise LayerhouseError(
                f"the lake says that {model_id} saw {self.recorded:,} samples of {dataset_id} or "
                f"of their groups in training, and this is {len(self.known):,}; what was said once "
                "holds: leave out --trained-on, or take the model's runs out first (`layerhouse "
                f"models remove {quote(model_id)}`)"
            )

    def identity(self, held: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What of it decides a run's numbers, as the identities state it that a lake holds.

        Its own record says the same whatever they do: they were stated when it knew nothing, or
        when the dataset had samples that were removed since. Before there were records, an
        identity told of what was left out.
        """
        mine, before = _stated(self.known), _stated(self.sample_ids)
        for one in held:
            said = {"trained_on": one["trained_on"]} if "trained_on" in one else {}
            if self.is_recorded or (self.recorded is None and said == before):
                return said
        return mine

    def rows(self, model_id: str, dataset_id: str) -> dict[str, list[dict[str, Any]]]:
        """The record, as rows of its table; there are none where nothing was seen."""
        of = {"model_id": model_id, "dataset_id": dataset_id}
        rows = [{**of, "sample_id": name} for name in sorted(self.known)]
        return {"seen_sample": rows} if rows else {}

    def as_train(self, samples: pl.DataFrame) -> pl.DataFrame:
        """The samples with these in train: what must learn before it strikes may see them."""
        split = pl.when(pl.col("sample_id").is_in(self.sample_ids)).then(pl.lit("train"))
        return samples.with_columns(split.otherwise("split").alias("split"))


NOTHING_SEEN = Seen()


def _stated(names: Collection[str]) -> dict[str, Any]:
    return {"trained_on": [len(names), images_hash(names)]} if names else {}


def images_hash(names: Iterable[str]) -> str:
    """Identity of a set of images by the hashes of their files, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def find_seen(
    wh: Warehouse,
    info: DatasetInfo,
    source: ModelSource | GivenModel | None,
    given: Sequence[str],
    model_id: str,
) -> Seen:
    """What a model saw of a dataset, by what a person says, by the record that it brings, and by
    what the lake knows of it and of the model that it is a variant of; where that is nothing yet,
    by what it knows of the same images in other datasets.

    Of a model whose answers alone are known there is no `source`.
    `given` are splits, attributes that say yes or no, and files of sample or group ids. A group of
    which it saw a part counts as seen, and what no verdict rests on is taken all the same: a
    split's train and val. Raises UsageError for a name that means none of these, LayerhouseError
    for a file that names what the dataset does not hold, and where nothing is left to score.
    """
    rows = info.samples.with_columns(pl.coalesce("given_split", "split").alias("given_split"))
    held = _held(wh, info, source, model_id)
    notes: list[str] = []
    marks = {what: _given(wh, info, rows, what) for what in given}
    marks |= {str(path): _recorded(path, info, rows, notes) for path in _records(source)}
    marks["the lake's own record"] = set[str]().union(*held.values())
    if model_id not in held:  # what was said once, be it nothing, is not said otherwise
        marks |= _elsewhere(wh, info, _same_elsewhere(source, model_id))
    known = _whole_groups(rows, set[str]().union(*marks.values()))
    recorded = len(_whole_groups(rows, held[model_id])) if model_id in held else None
    scored = set(rows.filter(pl.col("split") == "test")["sample_id"])
    left_out = known & scored
    if left_out:
        by = ", ".join(what for what, names in marks.items() if names)
        if left_out == scored:
            raise LayerhouseError(
                f"the model saw all {len(scored):,} samples of {info.dataset_id} that it would be "
                f"scored on, or others of their groups ({by}); give it images that it was not "
                "trained on"
            )
        notes.append(
            f"{len(left_out):,} of {len(scored):,} samples are left out, since the model saw them "
            f"or others of their groups in training ({by})"
        )
    return Seen(frozenset(left_out), tuple(notes), frozenset(known), recorded)


def _held(
    wh: Warehouse, info: DatasetInfo, source: ModelSource | GivenModel | None, model_id: str
) -> dict[str, set[str]]:
    """By model what the lake knows: of this one and of those that it is a variant of, if anything.

    A run says that it knows with its first commit, which has no rows where nothing was seen.
    """
    query = "SELECT sample_id FROM seen_sample WHERE model_id = $1 AND dataset_id = $2"
    return {
        one: {name for (name,) in wh.sql(query, [one, info.dataset_id]).fetchall()}
        for one in _bases(source, model_id)
        if any(
            SAYS_SEEN in commit.covers
            for command in BRINGS_ANSWERS
            for commit in list_commits(
                wh.lake, command=command, model_id=one, dataset_id=info.dataset_id
            )
        )
    }


def _bases(source: ModelSource | GivenModel | None, model_id: str) -> list[str]:
    """A model and those that it is a variant of; an untrained network is one of none."""
    if isinstance(source, ModelSource) and source.random_seed is not None:
        return [model_id]
    return bases_of(model_id)


def _same_elsewhere(source: ModelSource | GivenModel | None, model_id: str) -> list[str]:
    """The model and those that it is a variant of, as far as names mean the same on every dataset:
    not so of repairs, which are trained for each anew and bring a record of what they saw."""
    bases, folder = _bases(source, model_id), getattr(source, "adapter", None)
    if folder is None or not (folder / MEND_RECORD).is_file():
        return bases
    return [one for one in bases if all(kind != MEND for kind, _ in taken_apart(one)[1])]


def _elsewhere(wh: Warehouse, info: DatasetInfo, models: Sequence[str]) -> dict[str, set[str]]:
    """By dataset of the same images, as `fold --into` makes them, what these models saw there."""
    rows = wh.sql(
        "SELECT DISTINCT seen.dataset_id, own.sample_id FROM seen_sample AS seen "
        "JOIN sample AS other USING (dataset_id, sample_id) "
        "JOIN sample AS own ON own.sha256 = other.sha256 WHERE own.dataset_id = $1 "
        "AND seen.dataset_id <> $1 AND list_contains($2, seen.model_id) ORDER BY ALL",
        [info.dataset_id, list(models)],
    ).fetchall()
    found: dict[str, set[str]] = {}
    for dataset_id, sample_id in rows:
        found.setdefault(f"the lake's record on {dataset_id}", set()).add(sample_id)
    return found


def _whole_groups(rows: pl.DataFrame, names: Collection[str]) -> set[str]:
    """These samples and all others of their groups."""
    marked = pl.col("sample_id").is_in(list(names))
    groups = rows.filter(marked)["group_id"].drop_nulls()
    return set(rows.filter(marked | pl.col("group_id").is_in(groups.implode()))["sample_id"])


def _records(source: ModelSource | GivenModel | None) -> list[Path]:
    """Those of the model and of its adapter; an untrained network saw nothing."""
    if not isinstance(source, ModelSource) or source.random_seed is not None:
        return []
    folders = [folder for folder in (source.folder, source.adapter) if folder is not None]
    return [folder / TRAINING_RECORD for folder in folders if (folder / TRAINING_RECORD).is_file()]


def _recorded(path: Path, info: DatasetInfo, rows: pl.DataFrame, notes: list[str]) -> set[str]:
    """The samples whose files a record names; another dataset of the same ids has other files."""
    record = read_object(path)
    images, splits = record.get("images", []), record.get("splits_used", {})
    if not isinstance(images, list) or not all(map(IMAGE.fullmatch, map(str, images))):
        raise LayerhouseError(
            f"{path}: images is no list of texts, the first 16 digits or more of the SHA-256 of a "
            "file each; take the file away or mend it"
        )
    starts = {one[:16].lower() for one in images}
    found = set(rows.filter(pl.col("sha256").str.slice(0, 16).is_in(starts))["sample_id"])
    if images or not isinstance(splits, dict):
        return found
    strange = []
    for split, used in splits.items():
        part = rows.filter(pl.col("given_split") == split)
        if isinstance(used, dict) and used.get("sha256") == images_hash(part["sha256"]):
            found |= set(part["sample_id"])
        else:
            strange.append(split)
    phrases = [row.phrase for row in info.classes]
    if strange and (record.get("dataset") == info.dataset_id or record.get("phrases") == phrases):
        notes.append(
            f"{path} does not say which images the model was trained on, only that they were the "
            f"{' and '.join(strange)} of a dataset, and those of this one are others; if it saw "
            "some of these, say which with --trained-on"
        )
    return found


def _given(wh: Warehouse, info: DatasetInfo, rows: pl.DataFrame, what: str) -> set[str]:
    if what in SPLITS:
        return set(rows.filter(pl.col("given_split") == what)["sample_id"])
    if Path(what).is_file():
        return _named(Path(what), info, rows)
    found = wh.sql(
        "SELECT sample_id, value FROM sample_attribute WHERE dataset_id = $1 AND name = $2",
        [info.dataset_id, what],
    ).fetchall()
    if not found:
        known = [*SPLITS, *_attributes(wh, info)]
        raise UsageError(
            f"{what!r} is no split, no file and no attribute of {info.dataset_id}"
            f"{nearest(what, known)}"
        )
    for name, value in found:
        if str(value).lower() not in YES | NO:
            raise UsageError(
                f"the attribute {what} of {info.dataset_id} is {value!r} for {name}; one that says "
                "what a model saw is true or false"
            )
    return {name for name, value in found if str(value).lower() in YES}


def _attributes(wh: Warehouse, info: DatasetInfo) -> list[str]:
    query = "SELECT DISTINCT name FROM sample_attribute WHERE dataset_id = $1"
    return [row[0] for row in wh.sql(query, [info.dataset_id]).fetchall()]


def _named(path: Path, info: DatasetInfo, rows: pl.DataFrame) -> set[str]:
    """The samples that a file names: a record, or a table or list of sample ids or group ids."""
    if path.suffix == ".json":
        found = _recorded(path, info, rows, [])
        if not found:
            raise LayerhouseError(f"{path} names no image of {info.dataset_id}")
        return found
    try:
        lines = path.read_text(encoding="utf-8-sig").strip().split("\n")
        table = [line for line in csv.reader(lines) if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LayerhouseError(f"{path} is no table or list of sample ids: {error}") from error
    heads = [key for key in KEYS if table and key in table[0]]
    by = {key: set(rows[key].drop_nulls()) for key in heads[:1] or KEYS}
    known = set[str]().union(*by.values())
    if heads:
        place = table[0].index(heads[0])
        names = [line[place].strip() for line in table[1:] if len(line) > place]
    else:
        names = [_listed(line.strip(), known) for line in lines if line.strip()]
    strange = [name for name in names if name not in known]
    if strange or not names:
        first = f", first {strange[0]!r}" if strange else ""
        raise LayerhouseError(
            f"{len(strange):,} of {len(names):,} names in {path} are no sample or group of "
            f"{info.dataset_id}{first}; name those that the model saw, one a line"
        )
    matched = [pl.col(key).is_in(names) for key in by]
    return set(rows.filter(pl.any_horizontal(matched))["sample_id"])


def _listed(line: str, known: set[str]) -> str:
    """What a line without a head names: a name may hold commas and quotation marks itself."""
    return line if line in known else next(csv.reader([line]))[0].strip()
