"""The journal: what came of every step, one file each, so that many processes can write it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import telling_unwritable, write_at_once, write_json


@dataclass(frozen=True)
class StepRecord:
    """One step that was run: its command, exit code, last line, and how long it took."""

    command: tuple[str, ...]
    lake: str
    code: int
    said: str
    seconds: float

    @property
    def went_well(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Journal:
    """What of a study was run, in a folder beside its file; `.log` files hold all that was said."""

    folder: Path

    def open(self) -> None:
        """Make its folder, if it is not there. Raises LayerhouseError where it cannot be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayerhouseError(f"cannot make {self.folder}: {error.strerror}") from error

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def read(self, name: str) -> StepRecord | None:
        """What came of a step; None for one that was not run, or whose record cannot be read."""
        try:
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return StepRecord(**found | {"command": tuple(found["command"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, name: str, record: StepRecord) -> None:
        path = self.folder / f"{name}.json"
        with telling_unwritable(path):
            write_at_once(path, lambda new: write_json(new, asdict(record)))
