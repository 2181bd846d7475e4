"""Many rotations of folds over one set of features: what each is trained on differs, X does not."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.probes.logistic.forms import FeatureForm, Leading, Vector, product
from analysis.probes.standardising import CONSTANT_SHARE, centred, standardise


class FoldScale(NamedTuple):
    """How every rotation standardises its features: mean and inverse standard deviation on its own
    train samples, [cells, rotations, width]."""

    mean: Tensor
    inverse: Tensor

    def of(self, rotations: Tensor) -> "FoldScale":
        return FoldScale(self.mean[:, rotations], self.inverse[:, rotations])


class SharedForm:
    """Unknowns over features, for label sets in blocks of one rotation each.

    The features [cells, n, width] are those of all samples; a set looks at features standardised on
    its rotation's train samples, and where the goal weighs these alone it is the very problem that
    it is on a copy of them. One product reads the features for all rotations.
    """

    parts = 1

    def __init__(self, features: Tensor, scale: FoldScale, leading: Leading, n_each: int) -> None:
        self.features, self.scale, self.leading, self.n_each = features, scale, leading, n_each
        self.blocks = scale.mean.shape[1]
        self.size = features.shape[2]

    def image(self, coef: Tensor) -> Tensor:
        """The one part of a vector from its coordinates [cells, sets, classes, width]."""
        return coef[None]

    def logits(self, vector: Vector) -> Tensor:
        """What a vector gives every sample, in train or not: [cells, sets, classes, n]."""
        coef = self._each(vector.coef[0]) * self.scale.inverse[:, :, None]
        offset = torch.linalg.vecdot(coef, self.scale.mean[:, :, None])
        offset = vector.intercept - offset.view(vector.intercept.shape)
        return product(coef.view(vector.coef[0].shape), self.features.mT) + offset[..., None]

    def data_gradient(self, residual: Tensor) -> Tensor:
        """Σ residual · xᵀ as the one part of a vector; residual: [cells, sets, classes, n]."""
        sums = self._each(product(residual, self.features))
        whole = self._each(residual.sum(-1, keepdim=True))
        found = (sums - whole * self.scale.mean[:, :, None]) * self.scale.inverse[:, :, None]
        return found.view(1, *residual.shape[:3], -1)

    def of(self, sets: Tensor) -> "SharedForm":
        """The form of some sets, as many of each of their rotations."""
        rotations = (sets // self.n_each).unique()
        n_each = len(sets) // len(rotations)
        return SharedForm(self.features, self.scale.of(rotations), self.leading, n_each)

    def _each(self, rows: Tensor) -> Tensor:
        """[cells, sets, classes, a] as [cells, rotations, rows of each, a]."""
        return rows.reshape(len(rows), self.blocks, -1, rows.shape[-1])


def shared_form(features: Tensor, trains: Sequence[Tensor], n_each: int) -> SharedForm:
    """The form of features [cells, n, width], raw and overwritten, for `n_each` label sets of every
    rotation, by its train samples."""
    whole = standardise(features)
    raw_mean = whole.mean * whole.inverse_scale
    means, inverses = [], []
    for train in trains:
        own = features[:, train]
        moments = centred(own)
        # What is constant on train is so by the numbers that were given, whatever their offset.
        spread = 1 / moments.inverse_scale
        constant = spread <= CONSTANT_SHARE * (moments.mean + raw_mean).abs()
        inverses.append(torch.where(constant, 0.0, moments.inverse_scale))
        means.append(moments.mean)
    scale = FoldScale(torch.stack(means, dim=1), torch.stack(inverses, dim=1))
    # Most samples of any two rotations are the same, and it is but the preconditioner's.
    share = sum(map(len, trains)) / len(trains) / features.shape[1]
    basis, values, rest = FeatureForm(features).leading
    return SharedForm(features, scale, Leading(basis, share * values, share * rest), n_each)
