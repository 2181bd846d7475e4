"""An approximate inverse Hessian from the leading singular directions of the features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.probes.logistic.forms import Leading, Vector, product
from analysis.probes.logistic.goal import Goal


@dataclass(frozen=True)
class Preconditioner:
    """An approximate inverse Hessian of the loss at one strength, SPD in weight space."""

    basis: Tensor  # [parts, cells · blocks, q, n]
    low: Tensor  # [cells, sets, q]: what the leading directions get beyond `rest`
    rest: Tensor  # [cells, sets]
    intercept: Tensor  # [cells, sets]

    def __call__(self, vector: Vector) -> Vector:
        shares = product(vector.coef[-1], self.basis[0].mT) * self.low[:, :, None]
        shape = vector.coef.shape
        leading = shares.view(self.basis.shape[1], -1, shares.shape[-1]) @ self.basis
        return Vector(
            vector.coef * self.rest[..., None, None] + leading.view(shape),
            vector.intercept * self.intercept[..., None],
        )


def preconditioner_of(
    leading: Leading, goal: Goal, prob: Tensor, strength: float
) -> Preconditioner:
    """One curvature for all samples and classes of a problem: the mean of the loss's own.

    prob: the goal's probabilities at the point, [cells, sets, classes, n].
    """
    sets, classes = prob.shape[1:3]
    n = goal.named.sum((-2, -1))
    squares = goal.unweighed(prob.square().sum(-2))
    curvature = (prob.sum((-2, -1)) - squares.sum(-1)) / n / (classes - 1)
    curvature = curvature.clamp_min(1e-4)
    each = sets // leading.values.shape[1]
    values, rest = (one.repeat_interleave(each, 1) for one in (leading.values, leading.rest))
    flat = 1 / (curvature * rest + strength)
    steep = 1 / (curvature[..., None] * values + strength)
    low = torch.where(values > 0, steep - flat[..., None], 0.0)
    return Preconditioner(leading.basis, low, flat, 1 / (curvature * n))
