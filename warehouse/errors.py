"""The two ways a command can end badly, each one sentence for the person at the keyboard."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from math import isclose

ORDERS = re.compile(
    "[\\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""Control characters, and those that turn the direction of a text: orders to a terminal."""


def plain(text: str, orders: re.Pattern[str] = ORDERS) -> str:
    """A text as a terminal may get it: what is an order is written out, as \\x1b."""
    return orders.sub(lambda found: ascii(found[0])[1:-1], text)


class LayerhouseError(Exception):
    """The work failed or a check failed: one sentence that names the thing and the way out.

    What it names is whatever somebody wrote; the sentence holds no orders to who shows it.
    """

    exit_code = 1

    def __str__(self) -> str:
        return plain(super().__str__())


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
    return f"; known are {few(options, 12)}"


def few(names: Iterable[str], most: int) -> str:
    """The first of some names as a sentence lists them, with a sign where there are more."""
    found = list(names)
    return ", ".join(found[:most]) + (", …" if len(found) > most else "")


def number_in_name(what: str, number: float) -> str:
    """How a number is written where it is part of a name: in six digits.

    Raises UsageError for one that has more, `what` being what to call it: two numbers would have
    one name. What only 64 bits make of a sum (0.1 + 0.2) counts as the number that is meant.
    """
    text = f"{number:g}"
    if not isclose(number, float(text), rel_tol=1e-12):
        raise UsageError(f"{what} has more digits than the six that it is named by; give {text}")
    return text


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
