"""Tables that lie where no labels were found: what they may be, and the command that reads them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from extract.datasets.columns import proposals
from extract.datasets.source import ReadOptions
from extract.datasets.tables import SUFFIXES, image_column, read_table
from warehouse.errors import LayerhouseError, few

_AT_MOST = 20
"""How many files in JSON are looked into, of which some folders have one for each image."""
_SHEETS = {".xlsx", ".xls", ".ods", ".json"}
_TO_BE_FILLED = "submission"
"""What contests call a table of made-up labels that shows how answers are handed in."""
ADD = "layerhouse datasets add NAME"


def table_hint(there: Sequence[Path]) -> str:
    """The table among files that may say the labels, and how to give it; empty without one."""
    tables = [
        path
        for path in there
        if path.suffix.lower() in SUFFIXES and _TO_BE_FILLED not in path.stem.lower()
    ]
    others = [path for path in tables if path.suffix.lower() != ".json"]
    tables = others or [path for path in tables[:_AT_MOST] if _columns(path)]
    for path in tables:
        if image_column(path) is not None:
            return f"; {embedded(path)}"
    beside = [path for path in tables if path.stem == "metadata"]
    if len(beside) > 1 and all("file_name" in _columns(path) for path in beside):
        root = shlex.quote(f"hf:{os.path.commonpath(beside)}")
        return f"; its tables are those of an image folder of Hugging Face: {ADD} {root} reads all"
    if len(tables) > 1:
        names = few((f"{path.parent.name}/{path.name}" for path in tables), 3)
        return (
            f"; of its tables ({names}) one is read: put them into "
            f"one, with a column split, and give that: {ADD} {_shown(tables[0])}"
        )
    for path in tables:
        return f"; if {path.name} says the labels: {ADD} {_shown(path)}"
    for path in there:
        if path.suffix.lower() in _SHEETS:
            saved = shlex.quote(str(path.with_suffix(".csv")))
            return (
                f"; if {path.name} says the labels, save it as CSV and give that, which then says "
                f"which of its columns to name: {ADD} {saved}"
            )
    return ""


def embedded(path: Path) -> str:
    """What to do with a Parquet file that holds the images themselves."""
    return (
        f"{path.name} holds the images themselves, in its column {image_column(path)}: "
        f"{ADD} {shlex.quote(f'hf:{_repository(path)}')} reads it and what lies beside it"
    )


def _repository(path: Path) -> Path:
    """The folder of a file, or the one above it whose README.md says what its files are: their
    splits, and the names of their classes.
    """
    for folder in path.parents[:3]:
        if re.search(r"^(dataset_info|configs):", card_head(folder), re.MULTILINE):
            return folder
    return path.parent


def card_head(folder: Path) -> str:
    """What the README.md of a repository says to programs, in YAML; empty where it says nothing."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return card.split("\n---", 1)[0] if card.startswith("---") else ""


def _columns(path: Path) -> list[str]:
    try:
        return read_table(path, ReadOptions()).columns
    except LayerhouseError:
        return []


def _shown(path: Path) -> str:
    """A table as it is given, with the columns that are probably meant."""
    try:
        table = read_table(path, ReadOptions())
    except LayerhouseError:
        return shlex.quote(str(path))
    return f"{shlex.quote(str(path))} {proposals(table.columns, table.cells)}".strip()
