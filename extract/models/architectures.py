"""The sizes of the real models, as data in architectures.toml: what they are built from without
their weights, and what a published layout does not say itself. Imports nothing heavy.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().with_suffix(".toml")


@cache
def architecture_sizes() -> dict[str, dict[str, Any]]:
    """The shipped configurations by name, as numbers."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
