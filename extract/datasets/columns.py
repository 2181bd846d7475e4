"""Which column of a table means what: by our names, by what a person says, or proposed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.datasets.splits import flagged_split, is_split_name
from extract.datasets.tables import LabelTable, is_missing, present, text
from warehouse.errors import LayerhouseError, UsageError, few, nearest

MOST_SPLITS = 50
"""More values than these are no splits, nor folds."""
ROLES = ("image_path", "label", "split", "group_id")
_NOBODY = ("", "none")
"""What a person writes for a column that a table does not have."""

_DESCRIBES = (
    r"(is|patient|subject)?(sex|gender|(fe)?males?|(wo)?m[ae]n|adult|child|age(d|group|band|bin|range|cat"
    r"|category|class|years|over)?\d*(plus)?|race|ethnic(ity|group)?|(ever|current|former|non)?smok(er|ing)"
    r"(status)?)",
    r"(is)?(contrast(agent|enhanced|used|given)?|(view|scan)?(position|projection)|view|frontal|lateral"
    r"|portable|bedside|supine|erect|laterality|side|left|right|bilateral|(left|right)eye)",
    r"(cv|k)?folds?|site|scanner|hospital|cohort|cent(er|re)|device|vendor|manufacturer|augmented|synthetic",
)
"""Names of columns that say who an image is of, how it was taken, or where it comes from."""

_NUMBERED = r"s?(id|no|nr|num|number|u?uid|key|code|name|hash|index|identifier|barcode|anon)?s?"
_WHO = r"(patient|subj(ect)?|participant|proband|paciente)"
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "image_path": (
        r"(image|img|file|picture|photo|slice|dicom|scan|isic)?(file)?(relative|rel|full|abs|local)?"
        r"(path|file|filename|fname|name|index|id|idcode|url|uri)s?",
        r"(pathto)?(image|img|file|picture|photo|slice|scan|jpe?g|png)s?|sopinstanceuid",
    ),
    "label": (
        r"(class|cls|categor|diagnos|dx|finding|target|patholog|disease|condition|annotation"
        r"|groundtruth|gt|label)(e|es|s|y|ies|is|tic)?(name|label|text|code|id|idx)?s?",
        r"\w*(type|level|grade|severity|stage|species|outcome|malignan(t|cy)|result|score|birads)"
        r"|(ground)?truth",
        r"ys?",  # last, since it may be where a box lies
    ),
    "split": (r"(data|k|cv)?(split|subset|set|partition|phase|usage|fold|mode)(name|id|no|nr)?s?",),
    "group_id": (
        rf"(patient|subj(ect)?|participant|person|individual|mrn|medicalrecord){_NUMBERED}",
        rf"(patienten|paciente|proband|volunteer|donor|animal|mouse|case|pat|p|pt|group){_NUMBERED}",
        rf"\w*{_WHO}(id|no|nr|num|number|uid|key|code|hash|identifier|barcode)(s|anon\w*)?"
        rf"|(id|no|nr|num|cohort){_WHO}|(empi|mrn)\w*|usubjid|(case)?submitterid"
        rf"|(anon\w*|(de)?identified|pseudo\w*|unique|study){_WHO}|hospital(no|nr|number)",
        rf"(studyinstance|study|accession|series|scan|volume|slide|specimen|lesion|video|clip|film){_NUMBERED}",
        r"(acc|anon|exam|visit|encounter|admission|hadm|stay|eye|tissue|wsi|biopsy|client|fov|plate)"
        r"(id|uid|key|code|hash|anon)",
        r"id|患者(id)?|sub|[er]id|recordid",  # of BIDS, the UK Biobank, ADNI, REDCap
    ),
}
"""Usual names of our columns, the surest first; compared without case, spaces and signs."""

_LINES = (".csv", ".tsv")
"""Endings of tables that have a first line."""

Cells = Callable[[str], Sequence[Any]]


@dataclass(frozen=True)
class Roles:
    """The columns of a table by meaning; `labels` are several where each is one finding."""

    image_path: str | None = None
    labels: tuple[str, ...] = ()
    split: str | None = None
    group_id: str | None = None

    @property
    def used(self) -> set[str]:
        return {self.image_path, *self.labels, self.split, self.group_id} - {None}  # type: ignore[return-value]

    @property
    def grouping(self) -> str:
        """What the groups are, in words; nothing where no column says it."""
        return f"groups are the column {self.group_id}" if self.group_id else ""

    def group(self, row: Mapping[str, Any]) -> str | None:
        """The group of a row, if it has one."""
        cell = row.get(self.group_id or "")
        return None if is_missing(cell) else text(cell)


def find_roles(
    columns: Sequence[str],
    cells: Cells,
    where: str,
    given: Mapping[str, str],
    needed: Sequence[str],
) -> Roles:
    """The columns that are meant, where that is certain.

    `cells` gives a column's values. LayerhouseError where one of `needed` is not there, or where a
    column looks as if it were one of ours under another name: nobody wants patients cut across
    splits because their column is called PatientID.
    """
    found = _given(columns, where, given)
    named: dict[str, str] = {role: role for role in ROLES if role not in given and role in columns}
    taken = {*named.values(), *(name for names in found.values() for name in names)}
    asked = [role for role in ROLES if role not in given and role not in named]
    proposed = _proposed(asked, [column for column in columns if column not in taken], cells)
    missing = [role for role in needed if role not in named and not found.get(role)]
    if missing or {"split", "group_id"} & proposed.keys():
        raise LayerhouseError(_proposal(where, columns, missing, proposed))
    if "split" not in named and (chosen := found.get("split")) != ():
        _refuse_flags(where, [column for column in columns if column not in taken], cells, chosen)

    def one(role: str) -> str | None:
        return named.get(role) or next(iter(found.get(role, ())), None)

    labels = found.get("label", (named["label"],) if "label" in named else ())
    return Roles(one("image_path"), labels, one("split"), one("group_id"))


def _proposed(asked: Sequence[str], columns: Sequence[str], cells: Cells) -> dict[str, str]:
    """Some of the columns by what they most probably mean of what is asked for."""
    found: dict[str, str] = {}
    for role in asked:
        others = [column for column in columns if column not in found.values()]
        if (name := _candidate(role, others, cells)) is not None:
            found[role] = name
    return found


def proposals(columns: Sequence[str], cells: Cells) -> str:
    """The options that say what the columns of a table most probably mean."""
    asked = [role for role in ROLES if role not in columns]
    others = [column for column in columns if column not in ROLES]
    return _options(_proposed(asked, others, cells))


def _options(proposed: Mapping[str, str]) -> str:
    return " ".join(f"--column {role}={shlex.quote(name)}" for role, name in proposed.items())


def _given(
    columns: Sequence[str], where: str, given: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The columns that a person named by role; of labels there may be several."""
    found: dict[str, tuple[str, ...]] = {}
    for role, typed in given.items():
        if role not in ROLES:
            raise UsageError(f"--column {role}=… names nothing that is read{nearest(role, ROLES)}")
        if typed in _NOBODY and typed not in columns:
            found[role] = ()
            continue
        several = role == "label" and typed not in columns
        names = [name.strip() for name in typed.split(",")] if several else [typed]
        for name in names:
            if name not in columns:
                raise UsageError(f"{where} has no column {name!r}{nearest(name, columns)}")
        found[role] = tuple(names)
    return found


def _candidate(role: str, columns: Sequence[str], cells: Cells) -> str | None:
    """The column that is most probably meant by a role under another name."""
    named = [name for name in columns if role == "image_path" and names_files(cells(name))]
    for asked in (named, columns):  # what holds names of files goes before what numbers the rows
        for spelling in _SPELLINGS[role]:
            for name in asked:
                plain = _plain(name)
                if re.fullmatch(spelling, plain) and _fits(role, plain, cells(name)):
                    return name
    if role == "split":  # whatever it is called, what says train and test is one
        return next((name for name in columns if _parts(present(cells(name)))), None)
    return None


def names_files(values: Sequence[Any]) -> bool:
    """Whether the first of a column's values is the name of a file."""
    return bool(re.search(r"\.[A-Za-z]\w{1,4}$", next(iter(present(values)), "")))


def _parts(values: Sequence[str]) -> bool:
    """Whether values name train and another split, and nothing else."""
    held = {value.casefold().strip() for value in values}
    return len(held) > 1 and all(map(is_split_name, held)) and any(map(_is_train, held))


def split_not_read(table: LabelTable, roles: Roles, given: Mapping[str, str]) -> tuple[str, ...]:
    """What a person should know of columns of splits in other words, as numbers of folds are."""
    if roles.split is not None or "split" in given:
        return ()
    others = [column for column in table.columns if column not in roles.used]
    held = {column: list(dict.fromkeys(present(table.cells(column)))) for column in others}
    return tuple(
        f"the column {column} ({few(said, 3)}) decides no split: train, val and test do, in these "
        "words; --folds K has every image scored, in folds that are dealt anew, and --column "
        "split=none says that it is none"
        for column, said in held.items()
        if 1 < len(said) <= MOST_SPLITS and _seems_split(column, said)
    )


def _seems_split(column: str, said: Sequence[str]) -> bool:
    """Whether a column numbers its parts and is called like splits, or calls one of them so."""
    is_called_so = any(re.fullmatch(name, _plain(column)) for name in _SPELLINGS["split"])
    numbers = all(one[-1].isdigit() for one in said)
    return (is_called_so and numbers) or any(one.casefold() in _PARTS for one in said)


def _is_train(value: str) -> bool:
    return value.casefold() in ("train", "training")


_PARTS = ("train", "training", "validation", "test", "testing")
"""Names of splits that nothing else is called; valid and dev may be."""


def names_patients(column: str) -> bool:
    """Whether a column's name promises who an image is of, whatever the column holds."""
    return bool(re.fullmatch(_SPELLINGS["group_id"][0], _plain(column)))


def describes(column: str) -> bool:
    """Whether a column's name is that of a fact about an image or its patient, and no finding."""
    return any(re.fullmatch(spelling, _plain(column)) for spelling in _DESCRIBES)


def _refuse_flags(
    where: str, columns: Sequence[str], cells: Cells, chosen: Sequence[str] | None
) -> None:
    """LayerhouseError where columns say yes or no of a split, as `is_valid` does, and none was
    chosen for it, or one of them alone: what the others say would be lost.
    """

    def flagged(asked: Sequence[str]) -> dict[str, str]:
        said = {column: flagged_split(column, present(cells(column))) for column in asked}
        return {column: split for column, split in said.items() if split is not None}

    own, others = flagged(chosen or ()), flagged(columns)
    if not others or (chosen and not own):
        return
    flags = own | others
    column, split = next(iter(flags.items()))
    anew = "--column split=none has splits made anew"
    if len(flags) > 1:
        way_out = "write one column split of train, val and test, or"
    elif split == "val":
        way_out = "nothing says which images are test, so write a column split that does, or"
    else:
        way_out = f"add --column split={shlex.quote(column)} if it tells train from test;"
    raise LayerhouseError(
        f"{where} has {'columns' if len(flags) > 1 else 'a column'} {' and '.join(flags)} of yes "
        f"and no, but none called split; {way_out} {anew}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name.casefold())


def _fits(role: str, plain: str, values: Sequence[Any]) -> bool:
    """Whether a column's values could be what its name promises."""
    held = present(values)
    if role == "split":
        return bool(held) and (plain == "split" or all(map(is_split_name, set(held))))
    if role == "group_id":  # one group for all, or one for each, is no group
        return 1 < len(set(held)) < len(held)
    if role == "label" and any(re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*", value) for value in held):
        return False  # measured, or a probability
    return bool(held)


def _proposal(
    where: str, columns: Sequence[str], missing: Sequence[str], proposed: Mapping[str, str]
) -> str:
    options = _options(proposed)
    if missing:
        told = (
            f"{where} has no column {' and no column '.join(missing)}; it has "
            f"{', '.join(columns) or 'none'}"
        )
        if not proposed:
            line = "its first line has to name the columns, or " if where.endswith(_LINES) else ""
            return f"{told}; {line}--column {missing[0]}=… says which is meant"
        return f"{told}; if these are what is meant, add {options}"
    asked = {role: name for role, name in proposed.items() if role in ("split", "group_id")}
    names = " and ".join(f"a column {name}, but none called {role}" for role, name in asked.items())
    without = " ".join(f"--column {role}=none" for role in asked)
    return f"{where} has {names}; add {options} if that is what it is, {without} if it is not"
