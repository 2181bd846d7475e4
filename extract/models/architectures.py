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


def built_from(architecture: str) -> tuple[str, dict[str, Any]]:
    """The family of a shipped configuration, and what its class is given to build it."""
    numbers = dict(architecture_sizes()[architecture])
    del numbers["parameters"]
    parts = {f"{part}_config": dict(numbers.pop(part)) for part in ("text", "vision")}
    return numbers.pop("family"), parts | numbers
