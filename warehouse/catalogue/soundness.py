"""Whether the catalogue's file is byte for byte as it was built.

DuckDB finds damage only in what it reads, and takes in a log that lies beside the file. So the
builder notes the file's checksum, and a file of another date or size is held against it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.files import checksum, write_at_once, write_text
from warehouse.lake import Lake
from warehouse.untrusted import UnfitError, listing, parse_json, read_bounded, row, text, whole

DAMAGED = "Corrupt database file"
"""What DuckDB says of a block that is not as it was written; it looks when it reads the block."""

NOTE = "catalog.check"
NOTED = listing(row(whole(), whole(), text("a checksum", r"[0-9a-f]{64}")))


def note_built(lake: Lake, target: Path) -> None:
    """Note a file that is about to become the catalogue, beside the one that it replaces."""
    kept = [entry for entry in _noted(lake) or [] if entry[:2] == _state(lake.catalogue)]
    entries = [*kept[-1:], [*_state(target), checksum(target)]]
    write_at_once(lake.own / NOTE, lambda path: write_text(path, json.dumps(entries)))
    log_of(lake).unlink(missing_ok=True)


def catalogue_is_sound(lake: Lake) -> bool:
    """Whether the catalogue is one that was noted; those of earlier versions never were."""
    if log_of(lake).exists():  # none is left by a builder: somebody else wrote to the file
        return False
    entries = _noted(lake)
    if entries is None:
        return True
    if any(entry[:2] == _state(lake.catalogue) for entry in entries):
        return True
    digest = checksum(lake.catalogue)  # a copy has another date
    return any(entry[2] == digest for entry in entries)


def forget_damaged(lake: Lake, fault: Exception) -> LayerhouseError | None:
    """Delete a catalogue that a query found damaged, and what to tell; None of another fault."""
    if DAMAGED not in str(fault):
        return None
    lake.catalogue.unlink(missing_ok=True)
    return LayerhouseError(
        f"the catalogue {lake.catalogue} was damaged and was deleted; give the command again, and "
        "it is rebuilt from the shards"
    )


def log_of(lake: Lake) -> Path:
    """Where DuckDB keeps what it has not yet written into the catalogue."""
    return lake.catalogue.with_name(f"{lake.catalogue.name}.wal")


def _state(path: Path) -> list[int]:
    try:
        about = path.stat()
    except FileNotFoundError:
        return []
    return [about.st_mtime_ns, about.st_size]


def _noted(lake: Lake) -> list[list[Any]] | None:
    """What was noted, newest last; None where nothing ever was."""
    try:
        found: list[list[Any]] = parse_json(read_bounded(lake.own / NOTE))
        NOTED(found, "")
    except FileNotFoundError:
        return None
    except (OSError, UnfitError):
        return []
    return found
