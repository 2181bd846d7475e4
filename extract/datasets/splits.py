"""Train, validation and test: checked where a source brings them, made once where it does not.

No split ever cuts a group (a patient, a field of view): probes and intervals both rest on that.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from extract.datasets.source import Item
from extract.datasets.tables import NO, YES, LabelTable, is_missing, present, text
from warehouse.errors import LayerhouseError, UsageError, few
from warehouse.vocabulary import MIN_GROUPS, SPLITS

FRACTIONS = (0.6, 0.2, 0.2)
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


_FLAG = re.compile(
    r"(is|in)?(train|training|val|valid|validation|dev|test|testing)(set|data|split)?"
)

_ROUNDED = re.compile(r"\d+(\.\d+)?[eE]\+\d+")


class SplitError(LayerhouseError):
    """Classes that cannot be told apart with these splits."""


def is_split_name(name: str) -> bool:
    return _plain(name) in _SPLIT_NAMES


def _plain(name: str) -> str:
    """`Training Set`, `test-images` and `val_data` are the splits that they begin with."""
    return re.sub(r"[-_ ]*(set|data|images?)$", "", name.strip().lower())


def split_name(name: str, where: str) -> str:
    """`train`, `val` or `test` for one of their usual spellings; LayerhouseError otherwise."""
    try:
        return _SPLIT_NAMES[_plain(name)]
    except KeyError:
        raise LayerhouseError(
            f"{where} names the split {name!r}; splits are train, val and test, in these words "
            "(--column split=none has splits made, and a number of a fold is none)"
        ) from None


def flagged_split(column: str, values: Iterable[str]) -> str | None:
    """The split that a column says yes or no of, as `is_valid` does; None for any other column."""
    named = _FLAG.fullmatch(re.sub(r"[\W_]", "", column.casefold()))
    held = {value.casefold() for value in values}
    says_both = bool(held & YES and held & NO) and held <= YES | NO
    return _SPLIT_NAMES[named[2]] if named and says_both else None


def split_reader(table: LabelTable, column: str | None) -> Callable[[int], str | None]:
    """What gives the split of a row by its index: None where the column holds nothing at all.

    Cells name a split, or say yes or no of the one that the column is called: what is not of train
    is of that one; what is no train, where that is asked, is test. LayerhouseError for other cells.
    """
    said = present(table.cells(column)) if column else []
    flagged = flagged_split(column or "", said)

    def split(index: int) -> str | None:
        if not said:
            return None
        cell, where = text(table.rows[index].get(column or "")), table.place(index)
        if is_missing(cell):
            raise LayerhouseError(
                f"{where} has no {column}; write one for every image, or --column split=none has "
                "splits made"
            )
        if flagged is None:
            return split_name(cell, where)
        return flagged if cell.casefold() in YES else "test" if flagged == "train" else "train"

    return split


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """The shares of train, val and test; UsageError unless three positive ones that sum to one."""
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"split fractions {tuple(fractions)} must be three positive shares (train, val, test) "
            "that sum to 1"
        )
    return fractions[0], fractions[1], fractions[2]


def make_splits(
    labels: Sequence[Sequence[str]], units: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """A stratified split that keeps every unit whole: one split name per sample.

    `labels` are those of every sample, usually one; of several each is dealt out alike.
    Units are dealt out one by one, large ones first and otherwise in the order of a seeded hash,
    each to the split that lacks most of its classes. No random generator is involved, so the same
    samples and seed give the same split on every machine and library version.
    """
    members = defaultdict(list)
    for index, unit in enumerate(units):
        members[unit].append(index)
    totals = Counter(chain.from_iterable(labels))
    lacking = {
        split: {label: share * totals[label] for label in totals} for split, share in shares.items()
    }
    splits = [""] * len(labels)
    dealt: dict[str, list[str]] = {split: [] for split in shares}

    def turn(unit: str) -> tuple[int, str]:
        hashed = hashlib.blake2b(f"{seed}/{unit}".encode(), digest_size=16)
        return -len(members[unit]), hashed.hexdigest()

    for unit in sorted(members, key=turn):
        held = Counter(label for index in members[unit] for label in labels[index])

        def need(split: str, held: Counter[str] = held) -> float:
            # shares of the class, so that a rare class weighs as much as a common one
            return sum(n * lacking[split][label] / totals[label] for label, n in held.items())

        chosen = max(shares, key=need)
        for label, n in held.items():
            lacking[chosen][label] -= n
        dealt[chosen].append(unit)
    _fill_empty(dealt)
    for split, held_units in dealt.items():
        for index in chain.from_iterable(members[unit] for unit in held_units):
            splits[index] = split
    return splits


def _fill_empty(dealt: Mapping[str, list[str]]) -> None:
    """Few units may all go to some of the splits: each of the others gets the last one dealt."""
    for units in dealt.values():
        most = max(dealt.values(), key=len)
        if not units and len(most) > 1:
            units.append(most.pop())


def complete_splits(
    given: Sequence[str | None],
    labels: Sequence[Sequence[str]],
    units: Sequence[str],
    fractions: tuple[float, float, float],
    seed: int,
) -> tuple[list[str], list[str]]:
    """The split of every sample, and what was made up on the way (for the person to read).

    A source without splits gets all three; one without `val` gets it out of `train`, since every
    choice is made there. LayerhouseError for a source with splits but without train or test.
    """
    shares = dict(zip(SPLITS, fractions, strict=True))
    if not any(given):
        made = make_splits(labels, units, shares, seed)
        sizes = Counter(made)
        return made, [
            "splits were made: " + ", ".join(f"{sizes[split]} {split}" for split in SPLITS)
        ]
    present = [split or "" for split in given]
    for needed in ("train", "test"):
        if needed not in present:
            raise LayerhouseError(
                f"no sample is in the split {needed}; give all splits or none (where val is what "
                "results are to be told of, call it test: val is then made from train)"
            )
    if "val" in present:
        return present, []
    train = [index for index, split in enumerate(present) if split == "train"]
    within = shares["train"] + shares["val"]
    dealt = make_splits(
        [labels[index] for index in train],
        [units[index] for index in train],
        {split: shares[split] / within for split in ("train", "val")},
        seed,
    )
    for index, split in zip(train, dealt, strict=True):
        present[index] = split
    return present, [f"the split val was made from {dealt.count('val')} samples of train"]


def check_groups(groups: Sequence[str], splits: Sequence[str]) -> None:
    """LayerhouseError that names the groups which the splits cut."""
    held: dict[str, dict[str, None]] = defaultdict(dict)
    for group, split in zip(groups, splits, strict=True):
        held[group][split] = None
    cut = [group for group, names in held.items() if len(names) > 1]
    if not cut:
        return
    others = f" (and {len(cut) - 1:,} more are cut: {few(cut[1:], 20)})" if cut[1:] else ""
    raise LayerhouseError(
        f"group {cut[0]} is in the splits {' and '.join(held[cut[0]])}{others}; a group (a "
        "patient) must stay in one: correct the splits, or leave them out to have them made (and a "
        "name that stands for many patients leave empty)"
    )


def check_classes(labels: Sequence[str], splits: Sequence[str]) -> None:
    """SplitError for one class only, or a class that train cannot teach."""
    if len(set(labels)) < 2:
        raise SplitError(f"all samples have the class {labels[0]}; at least two are needed")
    n_classes = len(set(labels))
    if 2 * n_classes > len(labels) > 4:
        raise SplitError(
            f"the labels of {len(labels):,} images are {n_classes:,} different ones ({labels[0]}, "
            f"{labels[1]}, …); classes are names that many images share, so measurements have to "
            "be put into ranges, and reports into findings, first"
        )
    in_train = Counter(
        label for label, split in zip(labels, splits, strict=True) if split == "train"
    )
    for label in dict.fromkeys(labels):
        if label not in in_train:
            where = {s for name, s in zip(labels, splits, strict=True) if name == label}
            raise SplitError(
                f"class {label} is only in {' and '.join(sorted(where))}; train must hold it too"
            )
        if in_train[label] < 2:
            raise SplitError(
                f"class {label} has one train sample; at least two are needed, so add images of it "
                "or leave the class out"
            )
    for name in SPLITS:
        if name not in splits:
            raise SplitError(
                f"no image would be left for {name}: there are too few images, or too few groups "
                "of them (patients; identical images are one), for train, val and test; add more, "
                "or a column split"
            )


def split_warnings(
    items: Sequence[Item], groups: Sequence[str], splits: Sequence[str], hashes: Sequence[str]
) -> list[str]:
    """What a person should know about the split although it can be used."""
    labels = [item.label or "" for item in items]
    warnings = []
    for split in ("val", "test"):
        held = {label for label, s in zip(labels, splits, strict=True) if s == split}
        absent = [label for label in dict.fromkeys(labels) if label not in held]
        if absent:
            warnings.append(f"{split} has no sample of {', '.join(absent)}".rstrip())
    test_groups = {group for group, split in zip(groups, splits, strict=True) if split == "test"}
    if len(test_groups) < MIN_GROUPS:
        warnings.append(f"test has only {len(test_groups)} groups: intervals will be wide")
    for kind, values in (("splits", splits), ("classes", labels)):
        pairs = _copies_apart(hashes, values)
        if pairs:
            first, second = (items[index].sample_id for index in pairs[0])
            warnings.append(
                f"{len(pairs)} identical images are in two {kind}, first {first} and {second}"
            )
    return warnings


def _one_way(group: str) -> str:
    """A patient's name as it is however it was typed: `P-001`, `p 1` and `1` are one."""
    plain = " ".join(unicodedata.normalize("NFC", group).casefold().split())
    joined = re.sub(r"(?<=[^\W\d_])[-_ ]+(?=\d)", "", plain)
    without_zeros = re.sub(r"(?<!\d)0+(?=\d)", "", joined)
    return re.sub(r"^(patient|pat|pt|p)(?=\d+$)", "", without_zeros)


def group_warnings(items: Sequence[Item], groups: Sequence[str], where_from: str) -> list[str]:
    """What a person should know about the groups although splits can be made of them."""
    warnings = []
    source = f" ({where_from})" if where_from else ""
    alone = [item.sample_id for item in items if item.group_id is None]
    if 0 < len(alone) < len(items):
        warnings.append(
            f"{len(alone):,} of {len(items):,} images name no group and are groups of their own, "
            f"first {alone[0]}{source}: splits may cut patients there, and intervals come out "
            "too narrow; name the group of each, or leave these images out"
        )
    spelled: dict[str, str] = {}
    for group in dict.fromkeys(item.group_id for item in items if item.group_id):
        other = spelled.setdefault(_one_way(group), group)
        if other != group:
            plain = {" ".join(name.casefold().split()) for name in (group, other)}
            how = "case or spaces" if len(plain) == 1 else "how a number or a letter is written"
            how = "zeros in front" if (group + other).isdecimal() else how
            warnings.append(
                f"the groups {other} and {group} differ in {how} alone{source}; if they "
                "are one patient, write them in one way, since splits may part them now"
            )
            break
    rounded = next((group for group in spelled.values() if _ROUNDED.fullmatch(group)), None)
    if rounded:
        warnings.append(
            f"the group {rounded}{source} is a number that a spreadsheet or a float has rounded, "
            "so that it may be several patients; export the column as text"
        )
    largest, times = Counter(groups).most_common(1)[0]
    if 2 * times > len(groups) > 1:
        warnings.append(
            f"the group {largest} holds {times:,} of {len(groups):,} images{source}; if that is no "
            "patient but a name for many, leave it empty where it stands for them"
        )
    return warnings


def _copies_apart(hashes: Sequence[str], values: Sequence[str]) -> list[tuple[int, int]]:
    """Index pairs (first copy, later copy) of equal images whose `values` differ."""
    first: dict[str, int] = {}
    pairs = []
    for index, image in enumerate(hashes):
        earlier = first.setdefault(image, index)
        if values[earlier] != values[index]:
            pairs.append((earlier, index))
    return pairs
