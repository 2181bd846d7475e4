"""Labels: the order of classes, and the phrase that each is asked for by."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from extract.replies import alike
from warehouse.errors import ORDERS, LayerhouseError, UsageError, nearest

ENDING = " .,;:\"'“”‘’«»"
"""Marks around a name that a reply sets or leaves out as it likes."""
_CODE = re.compile(
    r"[-+]?\d+([.,]\d+)?|true|false|yes|no|n\d{8}\b.*|\d{2,}[._].*|[a-z]\d\d(\.\d+)?", re.IGNORECASE
)
"""What no model knows a class by: numbers, yes and no of what, entries of WordNet and of the ICD,
list numbers.
"""
_LISTED = re.compile(r"\d+[ ._:)-]+[^\W\d].*")
"""Names of a list, each with its number: what a model is asked for should not hold that."""
_UNSEEN = re.compile(
    f"{ORDERS.pattern}|[\t\n\xad\u061c\u180e\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f]"
    "|(?<![^\\x00-\\x7f])[\u200c\u200d]"
)
"""Signs that nobody sees, those that turn the direction of a text among them; joiners are part of
words in Persian, Hindi and others.
"""
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sorts `stage2` before `stage10`, upper and lower case together."""
    parts = re.split(r"(\d+)", text.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], text


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Every label once, in natural order."""
    return tuple(sorted(set(labels), key=natural_key))


def spelled(label: str) -> str:
    """A label as a phrase: `_`, and `-` between small letters, stand for spaces.

    Any other hyphen says something: ER-, grade 3-4, COVID-19. So does one in a label that has
    others of that kind.
    """
    words = re.sub(r"_+", " ", label).strip()
    hyphens = re.findall(r"-+", words)
    joints = re.findall(r"(?<=[a-z])-+(?=[a-z])", words)
    if len(hyphens) == len(joints) and "+" not in words:
        words = re.sub(r"-+", " ", words)
    return words or label


def label_warnings(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a model should not be asked for although it can be.

    That a finding is a code is said of all findings at once, by `code_warnings`.
    """
    phrases = {row["phrase"] for row in classes}
    named = [row for row in classes if f"no {row['phrase']}" not in phrases]
    codes = code_warnings(classes) if len(named) == len(classes) else []
    return _beginnings(classes) + codes + _mixed_scripts(classes)


def _mixed_scripts(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line on a word of Latin and Cyrillic letters, which look alike and are no same letters."""
    for row in classes:
        for word in re.findall(r"[^\W\d_]+", row["phrase"]):
            scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
            if {"LATIN", "CYRILLIC"} <= scripts:
                return [
                    f"the class {row['label']} has Latin and Cyrillic letters in one word ({word!a}"
                    "), which look alike: no reply names it so; write it with one kind of letters"
                ]
    return []


def code_warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to say of classes or findings (`label`, `phrase`) that are numbers or other codes."""
    numbers = [row for row in rows if _CODE.fullmatch(row["phrase"])]
    if rows and all(_LISTED.fullmatch(row["phrase"]) for row in rows):
        numbers = list(rows)
    if not numbers:
        return []
    asked = ", ".join(row["phrase"] for row in rows)
    return [
        f'the model would be asked for "{asked}"; name the classes with {_naming(numbers[0])} for '
        "each"
    ]


def _naming(row: Mapping[str, Any]) -> str:
    """The option that gives a class another phrase, as it is typed."""
    typed = shlex.quote(f"{row['label']}=")
    return f"--phrase {typed}…"


def _beginnings(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line on phrases that begin as another does."""
    shorter = {row["phrase"].casefold(): row for row in classes}
    pairs = []
    for row in classes:
        text = row["phrase"].casefold()
        first = next((shorter[text[:n]] for n in range(1, len(text)) if text[:n] in shorter), None)
        if first is not None:
            pairs.append((row, f"{row['phrase']!r} begins with {first['phrase']!r}"))
    if not pairs:
        return []
    named = ", ".join(said for _, said in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [
        f"class names are close: {named}{more}; likelihoods count where a name ends, but a reply "
        f"that breaks off names the shorter (other words: {_naming(pairs[0][0])})"
    ]


def class_rows(
    name: str, labels: Sequence[str], phrases: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of table `class`: a label without a phrase is `spelled`.

    Raises UsageError for a phrase of an unknown label, LayerhouseError for a class whose name has
    lost letters or holds signs that nobody sees, for two that no reply can tell apart, and for two
    whose labels are one number.
    """
    numbers = sorted((Decimal(label), label) for label in labels if _NUMBER.fullmatch(label))
    for (number, first), (other, second) in pairwise(numbers):
        if number == other:
            raise LayerhouseError(
                f"the classes {first} and {second} are one number, written in two ways; write it "
                "in one"
            )
    for label in phrases:
        if label not in labels:
            raise UsageError(f"no class is labelled {label!r}{nearest(label, labels)}")
    rows = [
        {
            "dataset_id": name,
            "class_index": index,
            "label": label,
            "phrase": phrases.get(label, spelled(label)),
        }
        for index, label in enumerate(labels)
    ]
    _refuse_lost(rows)
    _refuse_unseen(rows)
    _refuse_alike(rows)
    return rows


def _refuse_lost(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        if "\ufffd" in row["phrase"]:
            raise LayerhouseError(
                f"the class {row['label']} has lost letters, for which programs write \ufffd; "
                f"correct it where it comes from, or say how it is spelled ({_naming(row)})"
            )


def _refuse_unseen(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        for name in (row["label"], row["phrase"]):
            if found := _UNSEEN.search(name):
                raise LayerhouseError(
                    f"the class {name!r} holds a sign that nobody sees (U+{ord(found[0]):04X}); "
                    "write it without, since a model would be asked for it"
                )


def _forms(one: str, other: str) -> str:
    """How two names of the same letters differ, where nobody sees it."""
    if one == other or unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other):
        return ""
    return ": the same letters, composed in one and taken apart in the other"


def _refuse_alike(rows: Sequence[Mapping[str, Any]]) -> None:
    phrases = [str(row["phrase"]) for row in rows]
    bare = [phrase.strip(ENDING) or phrase for phrase in phrases]  # a reply ends with a full stop
    for one, other in (alike(phrases) or alike(bare))[:1]:
        first, second = rows[one], rows[other]
        forms = _forms(first["phrase"], second["phrase"])
        raise LayerhouseError(
            f"the classes {first['label']} and {second['label']} are called {first['phrase']!r} "
            f"and {second['phrase']!r}, which no reply can tell apart{forms}; write them in "
            "one way if they are one class, else give one another phrase "
            f"({_naming(second)})"
        )
