"""The SQL files that lie next to a module."""

from functools import cache
from pathlib import Path


@cache
def read_query(folder: Path, name: str) -> str:
    """The SQL of `name`.sql in `folder`."""
    return (folder / f"{name}.sql").read_text(encoding="utf-8")
