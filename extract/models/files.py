"""A model's files as somebody wrote them: one sentence for whatever is wrong with them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_bounded

MOST_HEADER = 100 * 10**6
"""The longest header that safetensors itself reads."""

CLEAR = (ImportError, OSError, RuntimeError, ValueError)
"""Errors whose own words say what is wrong; of others the kind must be told too."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; LayerhouseError where it holds none."""
    try:
        found = json.loads(read_bounded(path.resolve()))  # a hub's cache is made of links
    except (OSError, ValueError, RecursionError) as error:  # no file, no text, no JSON
        raise LayerhouseError(f"{path} cannot be read: {said(error)}") from error
    if not isinstance(found, dict):
        raise LayerhouseError(f"{path} holds a JSON {type(found).__name__}, where an object is due")
    return found


def weight_sizes(folder: Path) -> dict[str, int]:
    """How many numbers each weight in a folder's safetensors files has, from their headers."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(size, MOST_HEADER)))
            header.pop("__metadata__", None)
            found |= {name: prod(facts["shape"]) for name, facts in header.items()}
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise LayerhouseError(f"{path} is damaged: it has no header of weights") from error
    return found


@contextmanager
def failing_as(sentence: str) -> Iterator[None]:
    """Tell what fails inside as one sentence that begins so.

    Libraries raise anything over files that are not as they expect them.
    """
    try:
        yield
    except LayerhouseError:
        raise
    except Exception as error:
        raise LayerhouseError(f"{sentence}: {said(error)}") from error


def said(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    if isinstance(error, CLEAR) and first:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
