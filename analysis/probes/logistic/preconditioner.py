"""An approximate inverse Hessian from the leading singular directions of the features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.probes.logistic.forms import Leading, Vector, product


@dataclass(frozen=True)
class Preconditioner:
    """An approximate inverse Hessian of the loss at one strength, SPD in weight space."""

    basis: Tensor  # [parts, cells, q, n]
    low: Tensor  # [cells, sets, q]: what the leading directions get beyond `rest`
    rest: Tensor  # [cells, sets]
    intercept: Tensor  # [cells, sets]

    def __call__(self, vector: Vector) -> Vector:
        shares = product(vector.coef[-1], self.basis[0].mT) * self.low[:, :, None]
        shape = vector.coef.shape
        leading = shares.flatten(1, 2) @ self.basis
        return Vector(
            vector.coef * self.rest[..., None, None] + leading.view(shape),
            vector.intercept * self.intercept[..., None],
        )


def preconditioner_of(leading: Leading, prob: Tensor, strength: float) -> Preconditioner:
    """One curvature for all samples and classes of a problem: the mean of the loss's own.

    prob: the probabilities at the point, [cells, sets, classes, n].
    """
    classes, n = prob.shape[-2:]
    curvature = (prob * (1 - prob)).sum(-2).mean(-1) / (classes - 1)
    curvature = curvature.clamp_min(1e-4)
    flat = 1 / (curvature * leading.rest[:, None] + strength)
    steep = 1 / (curvature[..., None] * leading.values[:, None] + strength)
    low = torch.where(leading.values[:, None] > 0, steep - flat[..., None], 0.0)
    return Preconditioner(leading.basis, low, flat, 1 / (curvature * n))
