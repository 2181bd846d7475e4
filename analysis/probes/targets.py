"""What probes are trained on: the true labels, or their control, shuffled ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from analysis.probes.activations import Samples
from analysis.probes.probe_kind import ProbeKind
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import NO_CONTROL, PROBE_CONTROLS, SHUFFLED_LABELS

DEFAULT_SEEDS = 5
"""Of a control and of a kind that draws numbers, under a split."""


@dataclass(frozen=True, order=True)
class Target:
    """What the labels of a fit were: a control and its seed."""

    control: str
    seed: int


TRUE_LABELS = Target(NO_CONTROL, 0)


def wanted_targets(
    kind: ProbeKind, seeds: int | None, controls: Sequence[str], n_repetitions: int = 0
) -> tuple[Target, ...]:
    """The true labels always, since a control says nothing without them, and `seeds` of each other.

    A kind that draws nothing has one fit of the true labels. Under folds (`n_repetitions`) a seed
    is a repetition of theirs, and every kind has all of them. Raises UsageError for an unknown
    control, for less than one seed, and for more seeds than there are repetitions.
    """
    for control in controls:
        if control not in PROBE_CONTROLS:
            raise UsageError(f"there is no control {control!r}{nearest(control, PROBE_CONTROLS)}")
    if seeds is not None and seeds < 1:
        raise UsageError(f"probes need at least one seed, not {seeds}")
    if n_repetitions and seeds is not None and seeds > n_repetitions:
        raise UsageError(
            f"under folds a seed is one of the {n_repetitions} times that samples were dealt to "
            f"them, so there are {n_repetitions} at most, not {seeds}"
        )
    n_seeds = seeds or n_repetitions or DEFAULT_SEEDS
    counts = {NO_CONTROL: n_seeds if kind.is_random or n_repetitions else 1}
    counts |= {name: n_seeds for name in controls if name != NO_CONTROL}
    return tuple(Target(control, seed) for control, n in counts.items() for seed in range(n))


def labels_of(samples: Samples, dataset_id: str, targets: Sequence[Target]) -> NDArray[np.int64]:
    """What every sample is said to be, per target: [targets, n samples]."""
    return np.stack(
        [
            shuffled_labels(samples, dataset_id, target.seed)
            if target.control == SHUFFLED_LABELS
            else samples.class_index
            for target in targets
        ]
    )


def shuffled_labels(samples: Samples, dataset_id: str, seed: int) -> NDArray[np.int64]:
    """Labels [n samples] permuted within train and within val, under folds among all samples.

    Fixed by the dataset and the seed, so that all models face the same permutations.
    """
    labels = samples.class_index.copy()
    for split in ("train", "val") if samples.folds is None else ("folds",):
        rows = slice(0, len(labels)) if split == "folds" else samples.rows(split)
        text = f"shuffled_labels\0{dataset_id}\0{split}\0{seed}"
        entropy = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        labels[rows] = np.random.default_rng(entropy).permutation(samples.class_index[rows])
    return labels
