"""Reading: which class a record of another harness names, by the rules for our own replies."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from extract.answers.records import Record
from extract.datasets import text as cell_text
from extract.replies import ClassNames, alike, listed_order, names_a_scale, read_reply
from warehouse.catalogue import ClassRow
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LENGTH

NUMBERS = tuple(map(str, range(1, 1000)))
LEAST = -100.0
"""The log of a probability of zero, which has none."""


@dataclass(frozen=True)
class ReadRecord:
    """A record, the class it names (`predicted`), and that of its own label, as indexes.

    `scores` are in class order; `options` are what letters of the reply stood for, None where they
    stood for nothing; `is_bare_letter` tells that the reply is a letter and nobody knows for what.
    """

    record: Record
    predicted: int | None
    label: int | None
    scores: tuple[float, ...] | None = None
    options: tuple[str, ...] | None = None
    is_bare_letter: bool = False

    @property
    def reply(self) -> str | None:
        return self.record.replies[0] if self.record.replies else None


def named_class(
    reply: str,
    classes: Sequence[ClassRow],
    options: Sequence[str] | None,
    finish: str | None = None,
) -> int | None:
    """The class that a reply names, where the question listed `options` under letters, if it did.

    An option that is no class may be named too: then no class is. Options that begin with their
    numbers ("1. benign") were listed under these. `finish` is why it ended, if that is known.
    """
    cut = finish == LENGTH
    names = [ClassNames(row.label, row.phrase) for row in classes]
    if options is None:
        return read_reply(reply, names, cut=cut).index
    plain, is_numbered = without_numbers(options)
    listed = [class_called(option, classes) for option in plain]
    asked = [
        ClassNames(option, option) if index is None else names[index]
        for option, index in zip(plain, listed, strict=True)
    ]
    if is_numbered:  # a number means the option alone, or a step of a scale
        is_option = not names_a_scale(reply)
        asked = [
            replace(
                one,
                label=one.phrase if one.label.strip().isdigit() else one.label,
                also=(n,) if is_option else (),
            )
            for n, one in zip(NUMBERS, asked, strict=False)
        ]
    others = [index for index in range(len(names)) if index not in listed]
    named = [*asked, *(names[index] for index in others)]
    found = read_reply(reply, named, letters=not is_numbered, cut=cut).index
    return None if found is None else [*listed, *others][found]


def without_numbers(options: Sequence[str]) -> tuple[list[str], bool]:
    """The options without the numbers before them, and whether they had any: all, from 1 on."""
    parts = [re.match(r"\(?(\d+)[.):]\s*(?=\S)", option) for option in options]
    found = [part[1] for part in parts if part is not None]
    if not found or found != list(NUMBERS[: len(options)]):
        return list(options), False
    return [
        option[part.end() :]
        for option, part in zip(options, parts, strict=True)
        if part is not None
    ], True


def class_called(name: str, classes: Sequence[ClassRow]) -> int | None:
    """The class that is called so, by its label or its phrase; None where none is, or several."""
    for row in classes:
        if name in (row.label, row.phrase):
            return row.index
    found = {row.index for row in classes if alike([name, row.label]) or alike([name, row.phrase])}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class RecordReader:
    """Reads records about a dataset's classes; `letters`: A, B, … stand for them in order."""

    classes: Sequence[ClassRow]
    letters: bool

    def read_all(self, found: Iterable[Record]) -> list[ReadRecord]:
        """LayerhouseError where a record has several replies, or scores of other classes."""
        return [self._read(record) for record in found]

    def _read(self, record: Record) -> ReadRecord:
        if len(record.replies) > 1:
            raise LayerhouseError(
                f"{record.place} has {len(record.replies)} different replies to one sample; the "
                "lake keeps one: name the column with the one that counts with --column reply=…"
            )
        options, scores = self._options(record), self._scores(record)
        predicted, is_bare = None, False
        if record.replies:
            reply = record.replies[0]
            predicted = named_class(reply, self.classes, options, record.finish)
            is_bare = options is None and re.fullmatch(r"\W*[A-Za-z]\W*", reply) is not None
        elif scores is not None:
            predicted = max(range(len(scores)), key=scores.__getitem__)
        is_bare = is_bare and predicted is None
        return ReadRecord(record, predicted, self._label(record), scores, options, is_bare)

    def _options(self, record: Record) -> tuple[str, ...] | None:
        """What letters or numbers stand for: as the record says, as its question does, or as a
        person did."""
        phrases = [row.phrase for row in self.classes]
        if record.options:
            return record.options
        order = listed_order(record.question, phrases)
        if order is not None:
            return tuple(phrases[index] for index in order)
        order = listed_order(record.question, phrases, NUMBERS)
        if order is not None:
            return tuple(f"{NUMBERS[n]}. {phrases[index]}" for n, index in enumerate(order))
        return tuple(phrases) if self.letters else None

    def _label(self, record: Record) -> int | None:
        """The class that a file's own label means, where that is certain."""
        said = record.label
        if isinstance(said, list) and len(said) == 1:
            said = said[0]
        text = "" if isinstance(said, list | dict) else cell_text(said)
        named = class_called(text, self.classes) if text else None
        if named is not None or not record.options:
            return named
        options, is_numbered = without_numbers(record.options)
        letter = re.fullmatch(r"\(?([A-Z])[.):]*", text)
        place = int(text) - is_numbered if text.isdecimal() else -1
        place = ord(letter[1]) - ord("A") if letter else place
        return class_called(options[place], self.classes) if 0 <= place < len(options) else None

    def _scores(self, record: Record) -> tuple[float, ...] | None:
        """A record's scores in class order."""
        given, n = record.scores, len(self.classes)
        if given is None:
            return None
        labels = [row.label for row in self.classes]
        names = tuple(without_numbers(record.options)[0])
        if not isinstance(given, tuple):
            names, given = tuple(given), tuple(given.values())
        elif not names and len(given) == n:
            raise LayerhouseError(
                f"the scores in {record.place} are a list and nothing says which class each is of; "
                f'write them as {{"{labels[0]}": {given[0]:g}, …}}, as columns score:{labels[0]}, …'
                " or with a column of options, or leave them out with --column scores=none"
            )
        pairs = list(zip(names, given, strict=False))
        found = {class_called(name, self.classes): score for name, score in pairs}
        if not len(given) == len(names) == len(found) == n or None in found:
            shown = f" ({', '.join(map(repr, names))})" if len(names) == len(given) else ""
            raise LayerhouseError(
                f"{record.place} has {len(given)} scores{shown} where the dataset has {n} classes "
                f"({', '.join(labels)}); give one for each, or leave "
                "them out with --column scores=none"
            )
        return tuple(found[index] for index in range(n))


LOGS, SHARES, PERCENTS, RAW = (
    "log probabilities",
    "probabilities",
    "probabilities in percent",
    "numbers before a softmax",
)


def kind_of_scores(read: Sequence[ReadRecord]) -> str | None:
    """What the scores of a file are, None where it has none.

    They are one kind: logs, none of which is above zero; probabilities, which sum to one or to a
    hundred, as far as they may have been rounded; else numbers before a softmax.
    """
    held = [one.scores for one in read if one.scores is not None]
    if not held:
        return None
    if all(score <= 0 for scores in held for score in scores):
        return LOGS
    if _are_shares(held, 1):
        return SHARES
    return PERCENTS if _are_shares(held, 100) else RAW


def _are_shares(held: Sequence[Sequence[float]], whole: int) -> bool:
    """Whether all are parts of a whole, each rounded to a hundredth of it or more exactly."""
    return all(
        min(scores) >= 0 and abs(sum(scores) / whole - 1) <= 0.005 * len(scores) + 1e-9
        for scores in held
    )


def as_logprobs(read: Sequence[ReadRecord]) -> list[ReadRecord]:
    """The same records with scores as log probabilities, by what `kind_of_scores` says."""
    kind = kind_of_scores(read)
    if kind in (None, LOGS):
        return list(read)
    change = _log_softmax if kind == RAW else _log
    return [one if one.scores is None else replace(one, scores=change(one.scores)) for one in read]


def _log(scores: Sequence[float]) -> tuple[float, ...]:
    whole = sum(scores)
    return tuple(max(math.log(score / whole), LEAST) if score > 0 else LEAST for score in scores)


def _log_softmax(scores: Sequence[float]) -> tuple[float, ...]:
    most = max(scores)
    total = most + math.log(sum(math.exp(score - most) for score in scores))
    return tuple(score - total for score in scores)
