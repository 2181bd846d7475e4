"""What label sets are fitted to: the class of each sample, and how much it weighs."""

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Goal(NamedTuple):
    """The classes [sets, classes, n], one-hot times what a sample weighs: 0 where a set is not
    fitted on it. `weights` [sets, n] are those, and `inverse` 1 / weights, 0 where nothing weighs;
    both are None where every sample of every set weighs 1.
    """

    named: Tensor
    weights: Tensor | None
    inverse: Tensor | None

    @classmethod
    def of(cls, named: Tensor) -> Self:
        weights = named.sum(-2)
        if bool((weights == 1).all()):
            return cls(named, None, None)
        return cls(named, weights, torch.where(weights > 0, 1 / weights, 0.0))

    def of_sets(self, sets: Tensor) -> "Goal":
        """The goal of some label sets."""
        if self.weights is None or self.inverse is None:
            return Goal(self.named[sets], None, None)
        return Goal(self.named[sets], self.weights[sets], self.inverse[sets])

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of logits [cells, sets, classes, n], each times what its sample weighs."""
        prob = logits.softmax(-2)
        return prob if self.weights is None else prob.mul_(self.weights[:, None])

    def unweighed(self, squares: Tensor) -> Tensor:
        """Squares of weighed numbers [cells, sets, n] weighed once instead of twice."""
        return squares if self.inverse is None else squares * self.inverse
