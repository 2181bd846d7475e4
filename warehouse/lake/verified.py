"""Which shards were held against their commit records before: what has not changed is not read
again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import write_at_once, write_text
from warehouse.lake.lake import Lake
from warehouse.storage import Shard
from warehouse.untrusted import UnfitError, mapping, parse_json, read_bounded, row, text

MEMORY = "verified.json"
MARK = text("a mark", most=200)
REMEMBERED = mapping(text("a path", r"[\x20-\x7e]+", 2048), row(MARK, MARK, MARK))


def unsound(lake: Lake, shards: Sequence[Shard]) -> dict[str, str]:
    """By path, what is wrong with shards, every byte of each having been read once on this machine.

    Only those are read whole that are another file, or of another date, size or footer, than when
    they were found sound: a footer has no checksum as pages do, and Parquet's readers may die of
    it. A lake that cannot be written to remembers nothing. Of a bucket, which keeps checksums of
    its own, none is read.
    """
    marks, known = lake.store.marks(shards), _remembered(lake)
    now = {
        shard.path: [marks[shard.path], shard.checksum, _footer(lake.root / shard.path)]
        for shard in shards
        if shard.path in marks
    }
    wanted = [s for s in shards if s.path in now and known.get(s.path) != now[s.path]]
    problems = lake.store.problems(wanted, verify=True) if wanted else {}
    sound = {shard.path: now[shard.path] for shard in wanted if shard.path not in problems}
    if sound:
        _remember(lake, sound)
    return problems


def _footer(path: Path) -> str:
    """A checksum of what Parquet's readers take a file's shape from; it ends with its length."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8))
            length = int.from_bytes(file.read(4), "little") + 8
            file.seek(max(0, size - length))
            return blake2b(file.read(length), digest_size=16).hexdigest()
    except OSError as error:
        return str(error.strerror)


def refuse_unsound(lake: Lake, shards: Sequence[Shard]) -> None:
    """Raise LayerhouseError, which names the first and the way out, unless all are sound."""
    for path, problem in sorted(unsound(lake, shards).items()):
        raise LayerhouseError(
            f"the shard {path} of {lake} {problem}; restore it from a copy of the lake, or run "
            "`layerhouse status --repair` and then the command that made it again"
        )


def _remembered(lake: Lake) -> Mapping[str, list[str]]:
    path = lake.own / MEMORY
    try:
        about = path.stat()
        return _read(path, (about.st_ino, about.st_mtime_ns, about.st_size))
    except (OSError, UnfitError):
        return {}


@lru_cache(maxsize=4)
def _read(path: Path, _state: tuple[int, int, int]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = parse_json(read_bounded(path))
    REMEMBERED(found, "")
    return found


def _remember(lake: Lake, sound: Mapping[str, list[str]]) -> None:
    """Of two that note something at once one may be forgotten, and is read again."""
    content = json.dumps({**_remembered(lake), **sound})
    with suppress(OSError):
        write_at_once(lake.own / MEMORY, lambda path: write_text(path, content))
