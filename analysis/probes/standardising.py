"""Standardisation with train statistics, many cells at once, exact in float32."""

from dataclasses import dataclass

import torch
from torch import Tensor

# A feature whose train spread is below this share of its mean differs only by float32 rounding.
CONSTANT_SHARE = 1e-6


@dataclass(frozen=True)
class Moments:
    """Train mean [cells, width] and inverse standard deviation [cells, width].

    The inverse is 0 for a feature that is constant on train: such a feature becomes a zero
    column and gets the coefficient 0, on every split.
    """

    mean: Tensor
    inverse_scale: Tensor

    def centre(self, features: Tensor) -> Tensor:
        """Raw features [cells, n, width] minus the train mean, in place."""
        return features.sub_(self.mean[:, None])

    def raw_coefficients(self, weight: Tensor, intercept: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients on standardised features mapped back to raw ones.

        weight: [cells, …, width], intercept: [cells, …]; logits = raw features · weight +
        intercept.
        """
        shape = (len(self.mean),) + (1,) * (weight.dim() - 2) + (-1,)
        raw = weight * self.inverse_scale.view(shape)
        return raw, intercept - (raw * self.mean.view(shape)).sum(-1)


def standardise(features: Tensor) -> Moments:
    """Scale train features [cells, n, width] to mean 0 and variance 1 per feature, in place."""
    moments = centred(features)
    features.mul_(moments.inverse_scale[:, None])
    return moments


def centred(features: Tensor) -> Moments:
    """The moments of train features [cells, n, width], which are shifted to mean 0 in place.

    The mean is taken twice: what float32 rounding left of a large offset after the first
    subtraction is removed by the second.
    """
    first = features.mean(dim=1)
    features.sub_(first[:, None])
    rest = features.mean(dim=1)
    features.sub_(rest[:, None])
    mean = first + rest
    spread = features.square().mean(dim=1).sqrt_()
    constant = spread <= CONSTANT_SHARE * mean.abs()
    inverse_scale = torch.where(constant, 0.0, 1.0 / spread.masked_fill(constant, 1.0))
    return Moments(mean=mean, inverse_scale=inverse_scale)
