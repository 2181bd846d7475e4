"""What a kind of probe is: its options, how it fits many probes at once, and what it stores.

A kind is one frozen dataclass, and an object of it is the kind with its options: `MlpProbe()` is
the default, `MlpProbe(hidden=64)` another. A new one is a file in `kinds/` and a line in the
vocabulary, or an entry point of another package; `registry` finds both.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.probes.weights import weights_for
from warehouse.catalogue import Places, Rotation
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ACCURACY

# Features of one chunk of cells: small enough that a few chunks fit anywhere, and that the Gram
# matrices of a chunk stay near the cores.
CPU_CHUNK_BYTES = 256 * 2**20
GPU_CHUNK_BYTES = 8 * 2**30

READER = "reader"
"""What a kind calls the probe's own numbers among what it chose."""


class LabelledVectors(NamedTuple):
    """One split: raw features [cells, n, width], and class indices [sets, n] per label set.

    `weights` [sets, n] are what samples weigh in the loss and in what is chosen on val, with mean 1
    in every set; None where all weigh the same.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True)
class ProbeData:
    """What probes of one width are fitted on, all in float32 and on the kind's device.

    Every cell is fitted to every label set; `seeds` [sets] are those of the label sets. The test
    features [cells, n, width] have no labels: nobody scores here. All features may be overwritten.
    """

    train: LabelledVectors
    val: LabelledVectors
    test: Tensor
    n_classes: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Fits:
    """One probe per (cell, label set): logits [cells, sets, n, n_classes] on val and test.

    `chosen[cell][set]` is what fitting chose or found, as JSON values; it is stored with the
    probe. An entry `converged` that is False becomes a warning; an entry `reader`, the probe's own
    numbers, stays with the first probe of the true labels alone, since it is large.
    """

    val_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    chosen: Sequence[Sequence[dict[str, Any]]]


class FoldFit(NamedTuple):
    """One fit under folds: what it trains on, chooses on and is scored on, the label sets
    [sets, n samples], their seeds [sets], and the score that it is fitted for."""

    rotation: Rotation[slice] | Rotation[Places]
    labels: Tensor
    seeds: tuple[int, ...]
    score: str = ACCURACY

    def told(self, rows: slice | Places) -> tuple[Tensor, Tensor | None]:
        """The labels [sets, n] of the samples at some places, and what they weigh."""
        labels = self.labels[:, rows]
        return labels, weights_for(self.score, labels)

    def part(self, features: Tensor, rows: slice | Places) -> LabelledVectors:
        """The samples at some places of features [cells, n samples, width]."""
        return LabelledVectors(features[:, rows], *self.told(rows))


@dataclass(frozen=True)
class ProbeKind(ABC):
    """A kind of probe with its options, which are the fields of the subclass."""

    name: ClassVar[str]
    is_random: ClassVar[bool] = True
    """Whether another seed gives another probe of the same labels; else one fit says it all."""
    reads_tokens: ClassVar[bool] = False
    """Whether it is fitted on image tokens that were kept (`extract --readout tokens`) instead of
    vectors: features are then [cells, n, tokens, width], NaN where an image has fewer tokens."""

    device: str = "cpu"

    @abstractmethod
    def fit(self, data: ProbeData) -> Fits:
        """One probe per cell and label set.

        Train on train, choose on val, both by their weights; only read test. A probe must not
        depend on its neighbours: cells and label sets are chunked as memory allows.
        """

    def fit_folds(
        self, features: Tensor, folds: Sequence[FoldFit], n_classes: int
    ) -> Sequence[Fits]:
        """What each of some fits on the same features [cells, n samples, width] finds."""
        found = []
        for fold in folds:
            train, val, test = fold.rotation
            fitted, chosen = (fold.part(features, rows) for rows in (train, val))
            data = ProbeData(fitted, chosen, features[:, test], n_classes, fold.seeds)
            found.append(self.fit(data))
        return found

    def settings(self) -> dict[str, Any]:
        """What decides the numbers, as JSON values: it is stored and is part of a probe's name."""
        return {name: value for name, value in asdict(self).items() if name != "device"}

    def most_cells(self, n_samples: int, width: int, n_sets: int) -> int:
        """How many cells of this width are fitted at once, for the sake of memory."""
        del n_sets
        return self.chunk_bytes // (4 * n_samples * width)

    @property
    def chunk_bytes(self) -> int:
        """What the features of one chunk may take on this device."""
        return CPU_CHUNK_BYTES if self.device == "cpu" else GPU_CHUNK_BYTES


def seen_classes(labels: Tensor) -> Tensor:
    """The classes of train labels [sets, n], sorted: [seen classes], the same in every label set.

    Raises LayerhouseError where a single class is all that train shows, which cannot be probed.
    """
    seen = labels[0].unique()
    if len(seen) < 2:
        raise LayerhouseError(
            "the train split shows one class only; a probe needs samples of at least two classes"
        )
    if any(not torch.equal(row.unique(), seen) for row in labels):
        raise LayerhouseError("label sets fitted together must show the same classes on train")
    return seen
