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


@dataclass(frozen=True, order=True)
class Target:
    """What the labels of a fit were: a control and its seed."""

    control: str
    seed: int


TRUE_LABELS = Target(NO_CONTROL, 0)


def wanted_targets(kind: ProbeKind, seeds: int, controls: Sequence[str]) -> tuple[Target, ...]:
    """The true labels always, since a control says nothing without them, and `seeds` of each other.

    A kind that draws nothing has one fit of the true labels. Raises UsageError for an unknown
    control and for less than one seed.
    """
    for control in controls:
        if control not in PROBE_CONTROLS:
            raise UsageError(f"there is no control {control!r}{nearest(control, PROBE_CONTROLS)}")
    if seeds < 1:
        raise UsageError(f"probes need at least one seed, not {seeds}")
    counts = {NO_CONTROL: seeds if kind.is_random else 1}
    counts |= {name: seeds for name in controls if name != NO_CONTROL}
    return tuple(Target(control, seed) for control, n in counts.items() for seed in range(n))


def labels_of(
    samples: Samples, dataset_id: str, targets: Sequence[Target]
) -> dict[str, NDArray[np.int64]]:
    """The labels of train and of val, each [targets, n samples of the split]."""
    rows = [
        shuffled_labels(samples, dataset_id, target.seed)
        if target.control == SHUFFLED_LABELS
        else {split: samples.class_index[samples.rows(split)] for split in ("train", "val")}
        for target in targets
    ]
    return {split: np.stack([row[split] for row in rows]) for split in ("train", "val")}


def shuffled_labels(samples: Samples, dataset_id: str, seed: int) -> dict[str, NDArray[np.int64]]:
    """Train and val labels [n], each permuted within its split; fixed by the dataset and the seed.

    All models face the same permutations.
    """
    shuffled = {}
    for split in ("train", "val"):
        text = f"shuffled_labels\0{dataset_id}\0{split}\0{seed}"
        entropy = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        labels = samples.class_index[samples.rows(split)]
        shuffled[split] = np.random.default_rng(entropy).permutation(labels)
    return shuffled
