"""The two ways a command can end badly, each one sentence for the person at the keyboard."""

from collections.abc import Iterable
from difflib import get_close_matches


class LayerhouseError(Exception):
    """The work failed or a check failed: one sentence that names the thing and the way out."""

    exit_code = 1


class UsageError(LayerhouseError):
    """The command was asked for something that does not exist or cannot be meant."""

    exit_code = 2


CLEAR = (ImportError, OSError, RuntimeError, ValueError)
"""Errors whose own words say what is wrong; of others the kind must be told too."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A trailing clause for an error about an unknown name: the nearest known ones, or all."""
    options = sorted(set(known))
    if not options:
        return ""
    close = get_close_matches(name, options, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; known are {', '.join(options[:12])}{', …' if len(options) > 12 else ''}"


LONG = 400
"""Characters of a library's words that are told; some list all they know."""


def said(error: BaseException) -> str:
    """What an error says, in one line: of a long one its first sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    if len(first) > LONG:
        first = first.partition(". ")[0]
        first = first if len(first) <= LONG else f"{first[:LONG]} …"
    if isinstance(error, CLEAR) and first:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
