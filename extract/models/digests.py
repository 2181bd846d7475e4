"""Digests of large files: taken by all cores, and remembered for as long as nothing changed."""

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.files import write_at_once, write_text
from warehouse.progress import tell
from warehouse.storage import cache_folder
from warehouse.untrusted import (
    UnfitError,
    fields,
    listing,
    parse_json,
    read_bounded,
    row,
    text,
    whole,
)

LEAF = 64 * 2**20
BLOCK = 2**20
AT_ONCE = 8
SETTLED = 2 * 10**9
"""Nanoseconds after which another change of a file shows in its dates for certain."""

WORDS = text("a digest", r"[a-z]*:?[0-9a-f]*", 64)
MEMORY = fields(
    {
        "files": listing(row(text("a name"), whole(), whole(), whole(), whole())),
        "witness": WORDS,
        "digest": WORDS,
        "check": WORDS,
    }
)
"""What stands in the memory of one folder; `check` is a checksum of the rest."""


def tree_digest(path: Path) -> bytes:
    """The blake2b-256 of the blake2b-256 of each 64 MiB of a file; tells how far it is."""
    starts, digest = range(0, path.stat().st_size, LEAF), blake2b(digest_size=32)
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        for number, leaf in enumerate(pool.map(lambda start: _leaf(path, start), starts)):
            digest.update(leaf)
            tell(number + 1, len(starts), f"× 64 MiB of {path.name} hashed, which is done once")
    return digest.digest()


def _leaf(path: Path, start: int) -> bytes:
    digest, left = blake2b(digest_size=32), LEAF
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while left and (block := file.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.digest()


def remembered(files: Sequence[Path], witness: str, digest: Callable[[], str]) -> str:
    """The digest of files of one folder, taken anew where any of them may have changed since.

    They have not where size, inode and dates are as they were, and `witness`, a digest of a few
    bytes of each, is the same. It is kept in the user's cache folder; without one that can be
    written to, nothing is remembered. Raises LayerhouseError where a file changes meanwhile.
    """
    memory, began = _memory(files), time.time_ns()
    state = _state(files)
    known = _read(memory)
    if known is not None and [known["files"], known["witness"]] == [state, witness]:
        return str(known["digest"])
    found = digest()
    if _state(files) != state:
        raise LayerhouseError(
            f"the weights in {files[0].parent} changed while they were read; run the command again "
            "once they are written"
        )
    if max(each[3] for each in state) < began - SETTLED:
        _write(memory, {"files": state, "witness": witness, "digest": found})
    return found


def _state(files: Sequence[Path]) -> list[list[Any]]:
    found = [(path, path.stat()) for path in files]
    return [
        [path.name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
        for path, about in found
    ]


def _memory(files: Sequence[Path]) -> Path | None:
    place = "\0".join(str(path.resolve().parent / path.name) for path in files)
    name = blake2b(place.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    with suppress(OSError, RuntimeError):  # a user without a home
        return cache_folder() / "weights" / f"{name}.json"
    return None


def _read(memory: Path | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    try:
        found: dict[str, Any] = parse_json(read_bounded(memory))
        MEMORY(found, "")
    except (OSError, UnfitError):
        return None
    return found if found.pop("check") == _check(found) else None


def _write(memory: Path | None, known: dict[str, Any]) -> None:
    if memory is None:
        return
    content = json.dumps({**known, "check": _check(known)})
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_at_once(memory, lambda path: write_text(path, content))


def _check(known: dict[str, Any]) -> str:
    plain = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return blake2b(plain.encode(), digest_size=16).hexdigest()
