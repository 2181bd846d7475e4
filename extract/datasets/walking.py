"""Walking a folder of images: what a system left there is no data, links are followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from extract.datasets.labels import natural_key

_SYSTEM = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"),
        *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    )
)


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or one that archivers and file managers leave behind."""
    return name.startswith((".", "~$")) or name.casefold() in _SYSTEM


def subfolders(folder: Path) -> list[Path]:
    """The folders right below, linked ones too, in natural order."""
    found = (path for path in folder.iterdir() if path.is_dir() and not is_system(path.name))
    return sorted(found, key=lambda path: natural_key(path.name))


def files_below(folder: Path, loops: set[Path]) -> list[Path]:
    """All files at any depth, in natural order; links to what lies above go to `loops`.

    Links that lead nowhere count as files, so that whoever opens them finds out.
    """
    return sorted(_walk(folder, (), loops), key=lambda path: natural_key(path.as_posix()))


def _walk(folder: Path, above: tuple[Path, ...], loops: set[Path]) -> Iterator[Path]:
    real = Path(os.path.realpath(folder))
    # Also what lies above the start: from a class folder it would lead to the other classes.
    if any(each.is_relative_to(real) for each in above):
        loops.add(folder)
        return
    for path in folder.iterdir():
        if is_system(path.name):
            continue
        if path.is_dir():
            yield from _walk(path, (*above, real), loops)
        elif path.is_file() or path.is_symlink():
            yield path
