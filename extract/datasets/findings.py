"""Labels of which an image may have several: recognised in cells and columns, never guessed."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from extract.datasets.cells import letters_told, refuse_conversations, refuse_no_text
from extract.datasets.columns import Roles, describes, find_roles, proposals
from extract.datasets.labels import class_order
from extract.datasets.source import ReadOptions
from extract.datasets.splits import flagged_split
from extract.datasets.tables import NO, YES, LabelTable, is_missing, present, text
from warehouse.errors import LayerhouseError, UsageError

NOTHING = frozenset(
    ("no finding", "no findings", "no abnormality", "normal", "healthy", "nothing", "negative")
)
"""What is written where an image has none of the findings."""

WHOLE = "none"
"""The separator that says that a cell is one label, whatever it holds."""

_SIGNS = ("|", ";")
_MAYBE = (",", "/", "+", "&", "\\", " and ")
_BETWEEN_WORDS = (" ", "-", "_")
"""Signs that separate labels; those that do where the other cells show it; and those that mostly
stand within a label."""

PRESENT, ABSENT = YES | {"1.0", "positive", "present"}, NO | {"0.0", "negative", "absent"}
"""How tables say that a finding is there, and that it is not."""
_UNCERTAIN = frozenset(("-1", "-1.0", "u", "uncertain"))
_NUMBERS = frozenset(("1", "1.0", "true", "0", "0.0", "false", "-1", "-1.0"))
"""What columns of findings hold; they are taken for such unasked where they hold only numbers."""


@dataclass(frozen=True)
class Labelled:
    """What a table says of its images, row by row: `labels`, or `findings` where `names` are any.

    Neither of them is there where nobody asked for labels.
    """

    labels: Sequence[str | None] = ()
    findings: Sequence[Mapping[str, bool | None] | None] = ()
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows are left out, by the reason."""
        rows = len(self.labels or self.findings)
        n = sum(self.row(index) is None for index in range(rows))
        return {"images without a label": n} if n else {}

    def row(self, index: int) -> tuple[str | None, Mapping[str, bool | None]] | None:
        """A row's label and findings; None for a row that is left out."""
        label = self.labels[index] if self.labels else None
        findings = self.findings[index] if self.findings else {}
        if findings is None or (self.labels and label is None):
            return None
        return label, findings


def understood(
    table: LabelTable, reading: ReadOptions, needed: Sequence[str] = ()
) -> tuple[Roles, Labelled]:
    """Which column of a table means what, and what it says of every row.

    `needed` are the columns that must be there beside the label.
    """
    is_named = "label" in table.columns or "label" in reading.columns or reading.unlabelled
    labels = () if is_named else indicator_columns(table, set(reading.columns.values()))
    if not labels and not reading.unlabelled:
        needed = (*needed, "label")
        if not is_named:
            _refuse_words(table, set(reading.columns.values()))
            refuse_conversations(table)
    roles = find_roles(table.columns, table.cells, str(table.path), reading.columns, needed)
    roles = replace(roles, labels=roles.labels or labels)
    refuse_no_text(table, roles)
    if reading.unlabelled:
        return roles, Labelled()
    if len(roles.labels) > 1:
        found = by_columns(table, roles.labels, reading)
        return roles, replace(found, notes=(*found.notes, *_described(table, roles, reading)))
    found = by_cells(table, roles.labels[0], reading)
    return roles, replace(found, notes=(*found.notes, *letters_told(table, roles.labels[0])))


def _described(table: LabelTable, roles: Roles, reading: ReadOptions) -> tuple[str, ...]:
    """A note on columns of yes and no that are no findings, where nobody named these."""
    if "label" in reading.columns:
        return ()
    others = [name for name in _of_words(table, roles.used, _NUMBERS) if describes(name)]
    named = shlex.quote(",".join((*roles.labels, *others)))
    told = f"{', '.join(others)} is read as facts about the images; --column label={named} makes"
    return (f"{told} findings of them, too",) if others else ()


def _refuse_words(table: LabelTable, used: Set[str]) -> None:
    """LayerhouseError where no column is a label by its name, and some hold yes and no."""
    words = PRESENT | ABSENT | _UNCERTAIN
    found = indicator_columns(table, used, words)
    found = found or tuple(name for name in _of_words(table, used, words) if not describes(name))
    if found and "label=" not in proposals(table.columns, table.cells):
        named = shlex.quote(",".join(found))
        raise LayerhouseError(
            f"{table.path} has no column label; {', '.join(found)} hold{'s' * (len(found) == 1)} "
            f"yes and no: if {'each' if len(found) > 1 else 'that'} is a finding, add --column "
            f"label={named}"
        )


def by_cells(table: LabelTable, column: str, reading: ReadOptions) -> Labelled:
    """One label per row, or several in a cell: a list, or `a|b` and `a;b`."""
    cells = table.cells(column)
    absent = [index for index, cell in enumerate(cells) if is_missing(cell)]
    _refuse_vectors(table, column, cells)
    rows = _parts(cells, reading.separator)
    is_single = all(held is None or len(held) == 1 for held in rows)
    if absent and reading.missing is None:
        more = f", nor have {len(absent) - 1:,} more" if len(absent) > 1 else ""
        none = "" if is_single else ", --missing no says that they have none of the findings"
        raise LayerhouseError(
            f"{table.place(absent[0])} has no {column}{more}; --missing skip leaves such images "
            f"out{none} (a class that is called so needs another name)"
        )
    if is_single:
        if absent and reading.missing == "no":
            raise UsageError("--missing no is for findings; images with one label each need skip")
        return Labelled([held[0] if held else None for held in rows], notes=_left_out(absent))
    if reading.missing == "no":
        rows, absent = [held or () for held in rows], []
    names, nothing = _told_apart(class_order(name for held in rows for name in held or ()))
    findings = [None if held is None else {name: name in held for name in names} for held in rows]
    return Labelled(findings=findings, names=names, notes=(*nothing, *_left_out(absent)))


def _refuse_vectors(table: LabelTable, column: str, cells: Sequence[Any]) -> None:
    """LayerhouseError for lists of zeros and ones, which say of no name whether it is there."""
    for cell in cells:
        said = text(cell) if isinstance(cell, str) else ""
        listed = cell if isinstance(cell, list | tuple) else re.findall(r"[^\[\]\s,]+", said)
        is_list = isinstance(cell, list | tuple) or re.fullmatch(r"\[.*\]", said)
        if (
            not is_list
            or len(listed) < 2
            or not {text(one) for one in listed} <= {"0", "1", "0.", "1."}
        ):
            return
    if cells:
        raise LayerhouseError(
            f"{table.place(0)} and all others hold lists of 0 and 1 in the column {column}, "
            "which name no finding; write a column for each, called as it is"
        )


def _left_out(absent: Sequence[int]) -> tuple[str, ...]:
    return (f"{len(absent):,} images without a label were left out",) if absent else ()


def _told_apart(said: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings among what labels say, and a note on those that say that there is none."""
    names = tuple(name for name in said if plain(name) not in NOTHING)
    nothing = [name for name in said if name not in names]
    note = f"{' and '.join(nothing)} is read as: none of the findings"
    return names, ((note,) if nothing else ())


def plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))


def _parts(cells: Sequence[Any], separator: str | None) -> list[tuple[str, ...] | None]:
    """The labels of every cell, None where it holds no value; an empty list does hold one."""
    read = [None if is_missing(cell) else _read(cell) for cell in cells]
    whole = {cell for cell in read if isinstance(cell, str)}
    sign = _separator(whole) if separator is None else separator
    return [
        _once(cell.split(sign) if sign and sign != WHOLE else [cell])
        if isinstance(cell, str)
        else cell
        for cell in read
    ]


def _read(cell: Any) -> tuple[str, ...] | str:
    listed = _listed(cell)
    return text(cell) if listed is None else listed


def _once(labels: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text(label) for label in labels if not is_missing(label)))


def _separator(labels: Set[str]) -> str | None:
    """What separates several labels of a cell, None where every cell is one."""
    for sign in _SIGNS:
        if any(sign in label for label in labels):
            return sign
    for sign in _MAYBE:
        split = [_once(label.split(sign)) for label in labels if sign in label]
        if any(len(parts) > 1 and labels >= set(parts) for parts in split):
            return sign
        times = Counter(part for parts in split for part in parts)
        if len(split) > 2 and all(len(p) > 1 and min(map(times.__getitem__, p)) > 1 for p in split):
            return sign  # each part comes with several others, so none belongs to one of them
    return next((sign for sign in _BETWEEN_WORDS if _separates_words(sign, labels)), None)


def _separates_words(sign: str, labels: Set[str]) -> bool:
    """Whether a sign that mostly stands within a label stands between several of them.

    So it is where each part of some label is one of its own. Words that come in other numbers and
    in more ways than there are words are tags: `clear primary`, `haze primary water`, …
    """
    split = [_once(label.split(sign)) for label in labels]
    if any(len(parts) > 1 and labels >= set(parts) for parts in split):
        return True
    times = Counter(part for parts in split for part in parts)
    is_in_numbers = len({len(parts) for parts in split}) > 1
    return sign == " " and is_in_numbers and min(times.values()) > 1 and len(labels) > len(times)


def _listed(cell: Any) -> tuple[str, ...] | None:
    """The labels of a list, also of one that was written down by JSON, Python or NumPy."""
    if isinstance(cell, list | tuple):
        return _once(cell)
    written = text(cell)
    if written[:1] + written[-1:] not in ("[]", "()", "{}") or len(written) < 2:
        return None
    if re.fullmatch(r"\[\s*(('[^']*'|\"[^\"]*\")\s*)*\]", written):  # NumPy sets no commas
        return _once(a or b for a, b in re.findall(r"'([^']*)'|\"([^\"]*)\"", written))
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(written)
        except (ValueError, SyntaxError, TypeError):
            continue
        held = sorted(value) if isinstance(value, set) else value
        return _once(held) if isinstance(held, list | tuple) else None
    return None


def indicator_columns(
    table: LabelTable, used: Set[str], words: Set[str] = _NUMBERS
) -> tuple[str, ...]:
    """The columns, two or more, that say of a finding each whether it is there: 1, 0, -1 or blank.

    None where there are fewer, since one such column may be anything.
    """
    found = _of_words(table, used, words)
    findings = [column for column in found if not describes(column)]
    if findings and not _is_one_each(table, found):
        found = findings  # a patient's sex is none
    return tuple(found) if len(found) > 1 else ()


def _of_words(table: LabelTable, used: Set[str], words: Set[str]) -> list[str]:
    """The columns that hold nothing but some of the words, and say nothing of a split."""
    found = []
    for column in table.columns:
        said = present(table.cells(column))
        held = {cell.casefold() for cell in said}
        is_split = flagged_split(column, said) is not None
        if column not in used and held and held <= words and not is_split:
            found.append(column)
    return found


def _is_one_each(table: LabelTable, columns: Sequence[str]) -> bool:
    """Whether exactly one of several columns says yes in every row."""
    yes = [[text(row.get(name)).casefold() in PRESENT for name in columns] for row in table.rows]
    return all(said.count(True) == 1 for said in yes)


def by_columns(table: LabelTable, columns: Sequence[str], reading: ReadOptions) -> Labelled:
    """One column per finding; where exactly one is there in every row, it is the row's label."""
    read = [
        {name: _presence(table, row, name) for name in columns} for row in range(len(table.rows))
    ]
    meanings = {
        _BLANK: _meaning(table, read, _BLANK, "--missing", reading.missing),
        _UNSURE: _meaning(table, read, _UNSURE, "--uncertain", reading.uncertain),
    }
    rows: list[dict[str, bool | None]] = [
        {name: meanings.get(value, value == _YES) for name, value in row.items()} for row in read
    ]
    alone = all(list(row.values()).count(_YES) == 1 for row in read)
    if len(columns) > 1 and alone and all({*row.values()} <= {_YES, _NO} for row in read):
        labels = [next(name for name, there in row.items() if there) for row in rows]
        note = f"the classes are the columns {', '.join(columns)}: one of them is 1 in every row"
        return Labelled(labels, notes=(note,))
    names, notes = _told_apart(columns)
    findings = [{name: row[name] for name in names} for row in rows]
    return Labelled(findings=findings, names=names, notes=notes)


_YES, _NO, _UNSURE, _BLANK = "yes", "no", "uncertain", "empty"


def _presence(table: LabelTable, row: int, column: str) -> str:
    cell = table.rows[row].get(column)
    word = text(cell).casefold()
    if is_missing(cell):
        return _BLANK
    for meaning, words in ((_YES, PRESENT), (_NO, ABSENT), (_UNSURE, _UNCERTAIN)):
        if word in words:
            return meaning
    raise LayerhouseError(
        f"{table.place(row)} holds {text(cell)!r} in the column {column}; a column of one finding "
        "holds 1, 0, or -1 where it is uncertain"
    )


def _meaning(
    table: LabelTable, read: Sequence[Mapping[str, str]], what: str, option: str, said: str | None
) -> bool | None:
    """What cells of a kind mean, as a person says; an error where there are some unexplained."""
    held = [(row, name) for row, cells in enumerate(read) for name in cells if cells[name] == what]
    if held and said is None:
        row, name = held[0]
        yes = ", yes where the finding is there" if what == _UNSURE else ""
        raise LayerhouseError(
            f"{len(held):,} cells are {what}, first {name} in {table.place(row)}; say what that "
            f"means: {option} skip leaves the image out of that finding, no where it is not there"
            f"{yes}"
        )
    return {None: None, "skip": None, "no": False, "yes": True}[said]
