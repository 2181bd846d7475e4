"""Names of files that are safe everywhere, and which files of a folder are ours to replace."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from warehouse.errors import UsageError
from warehouse.files import telling_unwritable, write_at_once, write_json
from warehouse.untrusted import (
    UnfitError,
    anything,
    fields,
    mapping,
    parse_json,
    read_bounded,
    text,
)

CONTENTS = "figures.json"
"""In every folder that is written to: what each file shows, and with it which files are ours."""

ROOM = 60
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)\Z", re.IGNORECASE)

About = Mapping[str, str | float | None]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """A part of a file's name for each: letters, digits, - and _ of ASCII, no two alike.

    Neither LaTeX nor any file system wants more, and some take upper and lower case for the same.
    What is not told by that alone ends in a mark of the whole name.
    """
    plain = {name: _plain(name) for name in names}
    found = {}
    for name, short in plain.items():
        alike = [other for other in plain.values() if other.lower() == short.lower()]
        is_told = len(alike) == 1 and name.isascii() and len(short) <= ROOM
        if short and is_told and not RESERVED.match(short):
            found[name] = short
        else:
            mark = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
            found[name] = f"{short[:ROOM]}-{mark}".lstrip("-")
    return found


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_]+", "-", letters)).strip("-")


class OutFolder:
    """A folder for figures; files in it that are not named in its CONTENTS are never touched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = self._read()

    def _read(self) -> dict[str, About]:
        """What is named there already. Raises UsageError where that is not ours to say."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; name a folder")
        place = self.path / CONTENTS
        if not place.exists():
            return {}
        try:
            said = parse_json(read_bounded(place))
            _SHAPE(said, CONTENTS)
        except (OSError, UnfitError, ValueError) as error:
            raise UsageError(
                f"{place} is not the list of figures that Layerhouse writes; name another folder"
            ) from error
        return dict(said["files"])

    def announce(self, files: Mapping[str, About]) -> None:
        """Name these files before any of them is written. UsageError where one is not ours."""
        for name in (CONTENTS, *files):
            if name not in self._held and name != CONTENTS and self._is_there(name):
                raise UsageError(
                    f"{self.path / name} is there and was not written by `layerhouse figures`; "
                    "move it away or name another folder"
                )
        kept = {name: about for name, about in self._held.items() if self._is_there(name)}
        self._held = dict(sorted((kept | dict(files)).items()))
        self.write(CONTENTS, lambda path: write_json(path, {"files": self._held}))

    def _is_there(self, name: str) -> bool:
        place = self.path / name
        return place.exists() or place.is_symlink()

    def write(self, name: str, write: Callable[[Path], None]) -> Path:
        """One file that is wholly there or as it was. LayerhouseError where that cannot be."""
        place = self.path / name
        with telling_unwritable(place):
            self.path.mkdir(parents=True, exist_ok=True)
            write_at_once(place, write)
        return place


_SHAPE = fields({"files": mapping(text("a file's name", r"[A-Za-z0-9._-]+"), anything)})
