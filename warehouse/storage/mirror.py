"""What a machine keeps of a lake in a bucket: its commit records.

In the bucket a commit record is `commits/<number>.json`, the numbers counting the lake's commits in
the one order that all agents see. Here it has the name that it has in any lake, so that everything
that reads a local lake reads this copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.files import file_lock, make_folder, write_text, write_whole
from warehouse.storage.objects import SPENT, Entry, Objects
from warehouse.untrusted import (
    MOST_BYTES,
    UnfitError,
    anything,
    fields,
    parse_json,
    text,
    whole,
)

INDEX = "mirror.json"
NAMED = fields(
    {
        "run_id": text("a run", r"[a-z][a-z0-9-]{0,63}-[0-9a-f]{12}"),
        "n": whole(0, 2**31 - 1),
    },
    others=anything,
)
"""What of a record its name here is taken from."""

TAKEN = ".taken"
"""Ends the name of what is left where a record was taken out: its number is never given again."""


@dataclass(frozen=True)
class Position:
    """How far the lake's commits have come: the number of the next, and whether there is none."""

    next: int
    is_empty: bool


@dataclass(frozen=True)
class _Held:
    """One record in the mirror: the tag of the object it was copied from, and its file's stem."""

    tag: str
    name: str


def follow(root: Path, objects: Objects, *, anew: bool = False) -> Position:
    """Bring the mirror's commit records up to date; `anew` copies all of them again.

    One process at a time does so. Records that are gone from the bucket go here, too.
    """
    make_folder(root / "commits")
    with file_lock(root / "mirror.lock"):
        present = objects.entries("commits")
        records = {key: entry for key, entry in present.items() if _is_record(key, entry)}
        before = {} if anew else _read_index(root)
        here = {path.stem for path in _records(root)}
        held = {
            key: one
            for key, one in before.items()
            if key in records and records[key].tag == one.tag and one.name in here
        }
        new = {key: records[key] for key in records.keys() - held.keys()}
        held |= _copy(root, objects, new, {one.name for one in held.values()})
        if held != before:
            _drop(root, {one.name for one in held.values()})
            _write_index(root, held)
    return Position(max(_numbers(present), default=-1) + 1, is_empty=not held)


def _numbers(keys: Iterable[str]) -> set[int]:
    return {int(stem) for key in keys if (stem := _stem(key)).isdigit()}


def commit_numbers(objects: Objects) -> set[int]:
    """Those that commits have, or had that were joined or taken out."""
    return _numbers(objects.entries("commits"))


def record_key(number: int) -> str:
    return f"commits/{number:010}.json"


def record_keys(root: Path) -> dict[str, str]:
    """The key in the bucket of every commit record of the mirror, by the name it has here."""
    return {one.name: key for key, one in _read_index(root).items()}


def retire(objects: Objects, record: str) -> None:
    """See to it that no other commit ever gets the number of this one, which is taken out."""
    objects.create(record.removesuffix(".json") + TAKEN, b"")


def _is_record(key: str, entry: Entry) -> bool:
    """One that is larger than any record is no record, and is left where it lies; of one that was
    joined only the name is left."""
    is_name = key.endswith(".json") and key.count("/") == 1
    return is_name and entry.size <= MOST_BYTES and entry.size != len(SPENT)


def _stem(key: str) -> str:
    return key.removeprefix("commits/").removesuffix(".json").removesuffix(TAKEN)


def _records(root: Path) -> list[Path]:
    return list((root / "commits").glob("*.json"))


def _path(root: Path, name: str) -> Path:
    return root / "commits" / f"{name}.json"


def _copy(
    root: Path, objects: Objects, wanted: dict[str, Entry], taken: set[str]
) -> dict[str, _Held]:
    copied: dict[str, _Held] = {}
    for key, content in objects.read_all(sorted(wanted)):
        name = _read_name(content) or _stem(key)
        if name in taken:  # two records of one name: at most one of them is what a writer wrote
            name = _stem(key)
        taken.add(name)
        path = _path(root, name)
        write_whole(path, lambda draft, held=content: draft.write_bytes(held))  # type: ignore[misc]
        copied[key] = _Held(wanted[key].tag, name)
    return copied


def _read_name(content: bytes) -> str | None:
    """A record's name in any lake; None for one that is damaged."""
    try:
        record = parse_json(content)
        NAMED(record, "")
    except UnfitError:
        return None
    return f"{record['run_id']}-{record['n']}"


def _drop(root: Path, names: set[str]) -> None:
    """Remove the records that are in the bucket no more."""
    for path in _records(root):
        if path.stem not in names:
            path.unlink(missing_ok=True)


def _read_index(root: Path) -> dict[str, _Held]:
    """The index, empty where there is none or none that can be read: then all is copied again."""
    try:
        rows: dict[str, Any] = json.loads((root / INDEX).read_bytes())
        return {key: _Held(*row) for key, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_index(root: Path, held: dict[str, _Held]) -> None:
    index = json.dumps({key: [one.tag, one.name] for key, one in held.items()})
    write_whole(root / INDEX, lambda draft: write_text(draft, index))
