"""Train, validation and test: checked where a source brings them, made once where it does not.

No split ever cuts a group (a patient, a field of view): probes and intervals both rest on that.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from warehouse.errors import LayerhouseError, UsageError
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


def is_split_name(name: str) -> bool:
    return name.strip().lower() in _SPLIT_NAMES


def split_name(name: str, where: str) -> str:
    """`train`, `val` or `test` for one of their usual spellings; LayerhouseError otherwise."""
    try:
        return _SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise LayerhouseError(
            f"{where} names the split {name!r}; splits are train, val and test"
        ) from None


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """The shares of train, val and test; UsageError unless three positive ones that sum to one."""
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"split fractions {tuple(fractions)} must be three positive shares (train, val, test) "
            "that sum to 1"
        )
    return fractions[0], fractions[1], fractions[2]


def make_splits(
    labels: Sequence[str], units: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """A stratified split that keeps every unit whole: one split name per sample.

    Units are dealt out one by one, large ones first and otherwise in the order of a seeded hash,
    each to the split that lacks most of its classes. No random generator is involved, so the same
    samples and seed give the same split on every machine and library version.
    """
    members = defaultdict(list)
    for index, unit in enumerate(units):
        members[unit].append(index)
    totals = Counter(labels)
    lacking = {
        split: {label: share * totals[label] for label in totals} for split, share in shares.items()
    }
    splits = [""] * len(labels)

    def turn(unit: str) -> tuple[int, str]:
        hashed = hashlib.blake2b(f"{seed}/{unit}".encode(), digest_size=16)
        return -len(members[unit]), hashed.hexdigest()

    for unit in sorted(members, key=turn):
        held = Counter(labels[index] for index in members[unit])

        def need(split: str, held: Counter[str] = held) -> float:
            # shares of the class, so that a rare class weighs as much as a common one
            return sum(n * lacking[split][label] / totals[label] for label, n in held.items())

        chosen = max(shares, key=need)
        for label, n in held.items():
            lacking[chosen][label] -= n
        for index in members[unit]:
            splits[index] = chosen
    return splits


def complete_splits(
    given: Sequence[str | None],
    labels: Sequence[str],
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
            raise LayerhouseError(f"no sample is in the split {needed}; give all splits or none")
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


def check_splits(labels: Sequence[str], groups: Sequence[str], splits: Sequence[str]) -> None:
    """LayerhouseError for a cut group, one class only, or a class train cannot teach."""
    seen: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if seen.setdefault(group, split) != split:
            raise LayerhouseError(
                f"group {group} is in the splits {seen[group]} and {split}; a group (a patient) "
                "must stay in one"
            )
    if len(set(labels)) < 2:
        raise LayerhouseError(f"all samples have the class {labels[0]}; at least two are needed")
    in_train = Counter(
        label for label, split in zip(labels, splits, strict=True) if split == "train"
    )
    for label in dict.fromkeys(labels):
        if label not in in_train:
            where = {s for name, s in zip(labels, splits, strict=True) if name == label}
            raise LayerhouseError(
                f"class {label} is only in {' and '.join(sorted(where))}; train must hold it too"
            )
        if in_train[label] < 2:
            raise LayerhouseError(f"class {label} has one train sample; at least two are needed")


def split_warnings(
    names: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str],
    splits: Sequence[str],
    hashes: Sequence[str],
) -> list[str]:
    """What a person should know about the split although it can be used."""
    warnings = []
    for split in ("val", "test"):
        held = {label for label, s in zip(labels, splits, strict=True) if s == split}
        absent = [label for label in dict.fromkeys(labels) if label not in held]
        if absent:
            warnings.append(f"{split} has no sample of {', '.join(absent)}")
    test_groups = {group for group, split in zip(groups, splits, strict=True) if split == "test"}
    if len(test_groups) < MIN_GROUPS:
        warnings.append(f"test has only {len(test_groups)} groups: intervals will be wide")
    for kind, values in (("splits", splits), ("classes", labels)):
        pairs = _copies_apart(hashes, values)
        if pairs:
            first, second = (names[index] for index in pairs[0])
            warnings.append(
                f"{len(pairs)} identical images are in two {kind}, first {first} and {second}"
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
