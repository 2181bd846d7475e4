"""Commit records with any of their fields set to anything, dropped or doubled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from tests.warehouse.small_lakes import resealed

Place = tuple[Any, ...]
Field = tuple[Path, Place]
"""A record's file, and where in it."""

HOSTILE = [
    None, True, False, -1, 0, 1, 2**31, 2**62, 10**400, 0.5, float("inf"), float("nan"), "", " ",
    "x", "sample", "activation", "shard", "commit_record", "../../etc/passwd", "/etc/passwd", "*",
    "s3://b/x.parquet", 'x"; DROP TABLE sample; --', "'; --", "a\0b", "\x1b[31m", "\ud800",
    "a" * 100_000, [], {}, [[]], [None], {"x": 1}, "2026-01-01T00:00:00+02:00", "9999-12-31",
    "0001-01-01T00:00:00", "activation/model=x/dataset=*/module=y/part-x.parquet", "remove", "..",
    "extract-000000000000", "0099_newer", ["activation"], [1, 2], {"a": {"a": {"a": 1}}},
]  # fmt: skip


def examples(usual: int) -> int:
    """How many are tried: so many, or as many as `make soak-trust` asks for."""
    return int(os.environ.get("LAYERHOUSE_TRUST_EXAMPLES", usual))


FUZZED = settings(
    max_examples=examples(60),
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a lake takes minutes
    suppress_health_check=list(HealthCheck),
)


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Where anything stands in a value of JSON, from the outside in."""
    if here:
        yield here
    listed = enumerate(value) if isinstance(value, list) else ()
    for key, each in value.items() if isinstance(value, dict) else listed:
        yield from places(each, (*here, key))


def at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def fields_of(paths: Iterable[Path], *within: str) -> list[Field]:
    """All of these records, or those below the fields of these names."""
    return [
        (path, place)
        for path in sorted(paths)
        for place in places(json.loads(path.read_text()))
        if not within or place[0] in within
    ]


@contextmanager
def written_otherwise(field: Field, value: Any, how: str) -> Iterator[None]:
    """With a field set to a value, dropped, or the value added beside it (`how`), the record's
    checksum right again; as it was when the block ends."""
    path, place = field
    text = path.read_text()
    record = json.loads(text)
    holder, key = at(record, place[:-1]), place[-1]
    if how == "drop":
        del holder[key]
    elif how == "add" and isinstance(holder, list):
        holder.append(value)
    else:
        holder[str(value) if how == "add" else key] = value
    path.write_text(resealed(record))
    try:
        yield
    finally:
        path.write_text(text)
