"""The steerer: one batch, run with its states moved along every direction at every place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from extract.anatomy import Locus
from extract.patching import Side, Wanted, adding, how_done
from extract.running import Prepared
from extract.steering.directions import Directions


@dataclass(frozen=True)
class Moved:
    """What a model answers where its states are moved at a place, sample by sample.

    `names` are the samples [n], `classes` the k that are written. `shift` and `sham_shift` (n, k)
    tell how far the log-probability of a class rises against the mean of all others' along its
    direction and along its sham, `random_shifts` (n, k, directions) the same along random ones;
    fp32. `said` (n, k) is what is answered along the class' direction, `own` [n] without.
    """

    locus: Locus
    tokens: str
    strength: float
    names: Sequence[str]
    classes: Sequence[int]
    shift: Tensor
    sham_shift: Tensor
    random_shifts: Tensor
    said: Tensor
    own: Tensor


@dataclass
class Steerer:
    """Runs batches of `side`. `passes` counts how often single samples ran through the model."""

    side: Side
    directions: Directions
    passes: int = 0

    def effects(self, prepared: Prepared, wanted: Wanted) -> Iterator[Moved]:
        """The effects at all places that are wanted on a batch."""
        names = prepared.sample_ids
        with self.side.running(prepared.of(None), names) as run:
            own = run.said()
            for locus, put in wanted:
                for one in put:
                    tokens, strength = how_done(one)
                    said = []
                    for number in range(self.directions.n):
                        along = self.directions.along(locus, tokens, names, number)
                        edit = adding(run.facts, locus, tokens, along, float(strength))
                        said.append(run.said({locus.name: edit}))
                    yield self._effect(locus, (tokens, float(strength)), names, own, said)
            self.passes += run.passes * len(names)

    def _effect(
        self,
        locus: Locus,
        how: tuple[str, float],
        names: Sequence[str],
        own: Tensor,
        said: Sequence[Tensor],
    ) -> Moved:
        classes = torch.tensor(self.directions.classes)
        k, each = len(classes), torch.arange(len(classes))
        shifts = torch.stack([against_others(one) for one in said]) - against_others(own)
        mine = shifts[:, :, classes]  # (directions, n, steered classes)
        answers = torch.stack([one.argmax(dim=1) for one in said[:k]], dim=1)
        return Moved(
            *(locus, *how, names, self.directions.classes),
            shift=mine[each, :, each].T,
            sham_shift=mine[k + each, :, each].T,
            random_shifts=mine[2 * k :].permute(1, 2, 0),
            said=answers,
            own=own.argmax(dim=1),
        )


def against_others(logprobs: Tensor) -> Tensor:
    """Of log-probabilities (n, classes) each class' own less the mean of all others'."""
    total = logprobs.sum(dim=1, keepdim=True)
    return logprobs - (total - logprobs) / (logprobs.shape[1] - 1)
