"""What a swap must cost, in closed form, by the diagnosis' own rule.

A struck sample has what an unrelated image has. So behind the swap every predictor's score falls
by share × (score − score of an unrelated image); in front of it nothing changes. What stands
for a stage is then chosen on val and accumulated as ever.

That matters where a later locus reads more than the stage's own probes. What it alone proved to
be there is struck with it, and no longer proven: a loss before the struck stage, although nothing
happened there. A swap's whole loss, from the reference to the end of the struck stage, is still
share × (accuracy − accuracy of an unrelated image).

Under balanced accuracy the same holds of each class' recall, but a probe that is trained on struck
samples gives small classes up one by one: it names a class no more once more of the largest class
are struck than all of the small one are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.diagnosis import available_accuracies
from warehouse.vocabulary import STAGES

Integers = NDArray[np.int64]


class Strikable(Protocol):
    """What a predictor scores on one split, and what is left of that behind a swap."""

    @property
    def own(self) -> float: ...

    def struck(self, share: float) -> float: ...


@dataclass(frozen=True)
class Score:
    """A predictor's accuracy on one split, what it scores on an unrelated image of that split, and
    the least that it can score: the largest class for a probe, nothing for an answer.
    """

    own: float
    unrelated: float
    floor: float = 0.0

    def struck(self, share: float) -> float:
        """The accuracy that is left when this share of the samples shows another image."""
        left = (1 - share) * self.own + share * self.unrelated
        return max(left, min(self.own, self.floor))


@dataclass(frozen=True)
class BalancedScore:
    """A predictor's balanced accuracy on one split, by the classes that occur there.

    `confusion` [classes, classes + 1] counts the split's samples by what they are and are named,
    the last column those of which no class was named; `is_probe` tells whether the predictor is
    trained on what is struck.
    """

    confusion: NDArray[np.int64]
    is_probe: bool

    @property
    def own(self) -> float:
        return self.struck(0.0)

    def struck(self, share: float) -> float:
        counts = self.confusion.sum(axis=1)
        occurs = counts > 0
        named = self._named(share, counts / counts.sum())
        # The donor of a sample is any other one.
        hits = np.diagonal(named)[occurs]
        unrelated = named.sum(axis=0)[: len(counts)][occurs] - hits / counts[occurs]
        recalls = (1 - share) * hits / counts[occurs] + share * unrelated / max(counts.sum() - 1, 1)
        return float(recalls.mean())

    def _named(self, share: float, priors: NDArray[np.float64]) -> NDArray[np.int64]:
        """The confusion, where a class that is given up is taken for the largest one."""
        if not self.is_probe:
            return self.confusion
        given_up = np.flatnonzero((1 - share) + share * priors < share * priors.max())
        named = self.confusion.copy()
        named[:, priors.argmax()] += named[:, given_up].sum(axis=1)
        named[:, given_up] = 0
        return named


@dataclass(frozen=True)
class Candidate:
    """What may stand for a stage; an answer has no depth."""

    stage: str
    depth: int | None
    readout: str
    kind: str
    val: Strikable
    test: Strikable

    def scores(self, share: float, depth: int) -> tuple[float, float]:
        """Accuracy on val and test when a share is struck at this depth."""
        if self.depth is not None and self.depth < depth:
            return self.val.own, self.test.own
        return self.val.struck(share), self.test.struck(share)


@dataclass(frozen=True)
class ClosedForm:
    """The unmodified model's candidates, from which a swap's losses follow.

    Its own accuracy after vision is the reference.
    """

    candidates: Sequence[Candidate]

    def accuracies(self, share: float, depth: int) -> dict[str, float]:
        """The accuracy still available after each stage when a share is struck at this depth.

        A share of 0 gives what `stage_signal` says of the unmodified model.
        """
        chosen = {stage: np.array([self._chosen(stage, share, depth)]) for stage in STAGES}
        return {stage: float(left[0]) for stage, left in available_accuracies(chosen).items()}

    def loss(self, stage: str, share: float, depth: int) -> float:
        """What a swap of this share, struck at this depth, the end of the stage, costs there."""
        available = self.accuracies(share, depth)
        if stage == STAGES[0]:
            return self.accuracies(0, 0)[stage] - available[stage]
        return available[STAGES[STAGES.index(stage) - 1]] - available[stage]

    def _chosen(self, stage: str, share: float, depth: int) -> float:
        """The test accuracy of the candidate with rank 1 in `stage_candidate`."""

        def rank(candidate: Candidate) -> tuple[float, float, str, str]:
            val, _ = candidate.scores(share, depth)
            late = np.inf if candidate.depth is None else candidate.depth
            return -round(val, 9), -late, candidate.readout, candidate.kind

        best = min((c for c in self.candidates if c.stage == stage), key=rank)
        return best.scores(share, depth)[1]


def score(predicted: Integers, labels: Integers, n_classes: int, *, is_probe: bool) -> Score:
    """Score predictions [n samples] (−1 names no class), against the own labels and others'.

    An unrelated image is any other sample, each as likely.
    """
    n = len(labels)
    counts = np.bincount(labels, minlength=n_classes)
    named = np.bincount(predicted[predicted >= 0], minlength=n_classes)
    hits = int((predicted == labels).sum())
    unrelated = float((counts * named).sum() - hits) / max(n * (n - 1), 1)
    return Score(hits / n, unrelated, float(counts.max() / n) if is_probe else 0.0)


def balanced_score(
    predicted: Integers, labels: Integers, n_classes: int, *, is_probe: bool
) -> BalancedScore:
    """The same predictions scored by balanced accuracy; what names no class is of none."""
    confusion = np.zeros((n_classes, n_classes + 1), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)  # -1 is the last column
    return BalancedScore(confusion, is_probe)
