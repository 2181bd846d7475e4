"""Samples that a model saw in training: they are no evidence of what it can do."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from extract.models import GivenModel, ModelSource
from warehouse.catalogue import DatasetInfo, Warehouse
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.pretrained import read_object
from warehouse.vocabulary import SPLITS

RECORD = "training.json"
"""What the folder of a model or adapter may bring: `images`, the beginnings of the SHA-256 of the
files it was trained on, or `splits_used`, by split the hash of all of them (`images_hash`)."""
YES, NO = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})
KEYS = ("sample_id", "group_id")


@dataclass(frozen=True)
class Seen:
    """The samples to be scored that are left out, and what is to be read of that."""

    sample_ids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """What of it decides a run's numbers; nothing where every sample is taken."""
        if not self.sample_ids:
            return {}
        return {"trained_on": [len(self.sample_ids), images_hash(self.sample_ids)]}

    def as_train(self, samples: pl.DataFrame) -> pl.DataFrame:
        """The samples with these in train: what must learn before it strikes may see them."""
        split = pl.when(pl.col("sample_id").is_in(self.sample_ids)).then(pl.lit("train"))
        return samples.with_columns(split.otherwise("split").alias("split"))


NOTHING_SEEN = Seen()


def images_hash(names: Iterable[str]) -> str:
    """Identity of a set of images by the hashes of their files, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def find_seen(
    wh: Warehouse, info: DatasetInfo, source: ModelSource | GivenModel, given: Sequence[str]
) -> Seen:
    """What a model saw of a dataset, by what a person says and by the record that it brings.

    `given` are splits, attributes that say yes or no, and files of sample or group ids. A group of
    which it saw a part counts as seen, and what no verdict rests on is taken all the same: a
    split's train and val. Raises UsageError for a name that means none of these, LayerhouseError
    for a file that names what the dataset does not hold, and where nothing is left to score.
    """
    rows = info.samples.with_columns(pl.coalesce("given_split", "split").alias("given_split"))
    marks = {what: _given(wh, info, rows, what) for what in given}
    marks |= {str(path): _recorded(path, rows) for path in _records(source)}
    marked = set[str]().union(*marks.values())
    groups = rows.filter(pl.col("sample_id").is_in(marked))["group_id"].drop_nulls()
    scored = rows.filter(pl.col("split") == "test")
    left_out = scored.filter(
        pl.col("sample_id").is_in(marked) | pl.col("group_id").is_in(groups.implode())
    )["sample_id"].to_list()
    if not left_out:
        return NOTHING_SEEN
    by = ", ".join(what for what, names in marks.items() if names)
    if len(left_out) == len(scored):
        raise LayerhouseError(
            f"the model saw all {len(scored):,} samples of {info.dataset_id} that it would be "
            f"scored on, or others of their groups ({by}); give it images that it was not "
            "trained on"
        )
    told = (
        f"{len(left_out):,} of {len(scored):,} samples are left out, since the model saw them or "
        f"others of their groups in training ({by})"
    )
    return Seen(frozenset(left_out), (told,))


def _records(source: ModelSource | GivenModel) -> list[Path]:
    """Those of the model and of its adapter; an untrained network saw nothing."""
    if isinstance(source, GivenModel) or source.random_seed is not None:
        return []
    folders = [folder for folder in (source.folder, source.adapter) if folder is not None]
    return [folder / RECORD for folder in folders if (folder / RECORD).is_file()]


def _recorded(path: Path, rows: pl.DataFrame) -> set[str]:
    """The samples whose files a record names; another dataset of the same ids has other files."""
    record = read_object(path)
    images, splits = record.get("images", []), record.get("splits_used", {})
    if not isinstance(images, list) or not all(isinstance(one, str) for one in images):
        raise LayerhouseError(f"{path}: images is no list of texts; take the file away or mend it")
    starts = {one[:16] for one in images}
    found = set(rows.filter(pl.col("sha256").str.slice(0, 16).is_in(starts))["sample_id"])
    if images or not isinstance(splits, dict):
        return found
    for split, used in splits.items():
        part = rows.filter(pl.col("given_split") == split)
        if isinstance(used, dict) and used.get("sha256") == images_hash(part["sha256"]):
            found |= set(part["sample_id"])
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
        found = _recorded(path, rows)
        if not found:
            raise LayerhouseError(f"{path} names no image of {info.dataset_id}")
        return found
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LayerhouseError(f"{path} is no table or list of sample ids: {error}") from error
    heads = [key for key in KEYS if lines and key in lines[0]]
    place = lines[0].index(heads[0]) if heads else 0
    names = [line[place].strip() for line in lines[bool(heads) :] if len(line) > place]
    by = {key: set(rows[key].drop_nulls()) for key in heads[:1] or KEYS}
    strange = [name for name in names if not any(name in known for known in by.values())]
    if strange or not names:
        first = f", first {strange[0]!r}" if strange else ""
        raise LayerhouseError(
            f"{len(strange):,} of {len(names):,} names in {path} are no sample or group of "
            f"{info.dataset_id}{first}; name those that the model saw, one a line"
        )
    matched = [pl.col(key).is_in(names) for key in by]
    return set(rows.filter(pl.any_horizontal(matched))["sample_id"])
