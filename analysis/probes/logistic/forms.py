"""The two forms of the problem: unknowns over samples or over features, whichever is smaller."""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

# Singular directions that the preconditioner treats one by one: at least, at most, and between
# them one in so many, which costs an eighth of an iteration's products.
RANKS = (64, 256)
RANK_SHARE = 16
SAMPLES_PER_FEATURE = 1.25  # up to here one product with the Gram matrix pays for making it
GRAM_PANELS = 8


class Vector(NamedTuple):
    """A point or direction for every problem.

    coef: [parts, cells, sets, classes, n]. In the sample form parts = 2: the coordinates over
    samples and their image under the Gram matrix, so that inner products of the weights they
    stand for need no further product; in the feature form parts = 1. intercept: [cells, sets,
    classes].
    """

    coef: Tensor
    intercept: Tensor


def add(point: Vector, factor: Tensor, direction: Vector) -> Vector:
    """point + factor · direction, factor [cells, sets]."""
    return Vector(
        point.coef + factor[..., None, None] * direction.coef,
        point.intercept + factor[..., None] * direction.intercept,
    )


def inner(left: Vector, right: Vector) -> Tensor:
    """Inner products in weight space, [cells, sets]."""
    weights = torch.linalg.vecdot(left.coef[0].flatten(-2), right.coef[-1].flatten(-2))
    return weights + torch.linalg.vecdot(left.intercept, right.intercept)


def weights_only(vector: Vector) -> Vector:
    """The penalised part."""
    return Vector(vector.coef, torch.zeros_like(vector.intercept))


def product(rows: Tensor, matrix: Tensor) -> Tensor:
    """[cells, sets, classes, a] times [cells · blocks, a, b], one product per cell and block."""
    found = rows.reshape(len(matrix), -1, rows.shape[-1]) @ matrix
    return found.view(*rows.shape[:3], -1)


class Leading(NamedTuple):
    """The leading singular directions of some features, found with a random test matrix.

    basis: [parts, cells · blocks, q, n], orthonormal in weight space; values: their squared
    singular values [cells, blocks, q], 0 where there is none; rest: the mean squared singular value
    of all others, [cells, blocks]. A block is what label sets have in common, usually everything.
    """

    basis: Tensor
    values: Tensor
    rest: Tensor


class Form(Protocol):
    """A way of writing the problem down; `blocks` is how many parts of equally many label sets
    have something of their own."""

    parts: int
    blocks: int
    size: int

    @property
    def features(self) -> Tensor: ...

    @property
    def leading(self) -> Leading: ...

    def image(self, coef: Tensor) -> Tensor: ...

    def logits(self, vector: Vector) -> Tensor: ...

    def data_gradient(self, residual: Tensor) -> Tensor: ...

    def of(self, sets: Tensor) -> Self: ...


class SampleForm:
    """Unknowns over samples: W = coef · X, read through K = X Xᵀ only."""

    parts = 2
    blocks = 1

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.gram = gram(features)
        self.size = features.shape[1]

    def image(self, coef: Tensor) -> Tensor:
        """Both parts of a vector from its coordinates [cells, sets, classes, n]."""
        return torch.stack([coef, product(coef, self.gram)])

    def of(self, sets: Tensor) -> Self:
        """The form of some label sets."""
        del sets
        return self

    def logits(self, vector: Vector) -> Tensor:
        """What a vector gives every sample: [cells, sets, classes, n]."""
        return vector.coef[1] + vector.intercept[..., None]

    def data_gradient(self, residual: Tensor) -> Tensor:
        """Σ residual · xᵀ as both parts of a vector; residual: [cells, sets, classes, n]."""
        # What samples have in common moves no weight, features being centred, so no line search
        # would see it grow from step to step until rounding makes it count.
        return self.image(residual - residual.mean(-1, keepdim=True))

    def weights(self, coef: Tensor) -> Tensor:
        """Weights [cells, rows, width] of coordinates [cells, rows, n]."""
        return coef @ self.features

    @cached_property
    def leading(self) -> Leading:
        basis = torch.linalg.qr(self.gram @ _test_matrix(self.features, self.size))[0]
        image = self.gram @ basis
        values, vectors = _eigh(basis.mT @ image)
        keep = values > _negligible(values)
        norm = torch.where(keep, values.clamp_min(1e-30).rsqrt(), 0.0)[:, None]
        parts = torch.stack([(basis @ vectors * norm).mT, (image @ vectors * norm).mT])
        total = self.gram.diagonal(dim1=-2, dim2=-1).sum(-1)
        return _leading(parts, torch.where(keep, values, 0.0), total, self.size)


class FeatureForm:
    """Unknowns over features: W itself."""

    parts = 1
    blocks = 1

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.size = features.shape[2]

    def image(self, coef: Tensor) -> Tensor:
        """The one part of a vector from its coordinates [cells, sets, classes, width]."""
        return coef[None]

    def of(self, sets: Tensor) -> Self:
        """The form of some label sets."""
        del sets
        return self

    def logits(self, vector: Vector) -> Tensor:
        """What a vector gives every sample: [cells, sets, classes, n]."""
        return product(vector.coef[0], self.features.mT) + vector.intercept[..., None]

    def data_gradient(self, residual: Tensor) -> Tensor:
        """Σ residual · xᵀ as the one part of a vector; residual: [cells, sets, classes, n]."""
        return product(residual, self.features)[None]

    def weights(self, coef: Tensor) -> Tensor:
        """Coordinates are weights: [cells, rows, width] both."""
        return coef

    @cached_property
    def leading(self) -> Leading:
        test = _test_matrix(self.features, self.size)
        basis = torch.linalg.qr(self.features.mT @ (self.features @ test))[0]
        image = self.features @ basis
        values, vectors = _eigh(image.mT @ image)
        keep = values > _negligible(values)
        parts = torch.where(keep[:, None], basis @ vectors, 0.0).mT[None]
        total = self.features.square().sum((1, 2))
        return _leading(parts, torch.where(keep, values, 0.0), total, self.size)


OwnForm = SampleForm | FeatureForm
"""The forms of features that all label sets are fitted on."""


def form_of(features: Tensor) -> OwnForm:
    """The cheaper of the two forms for standardised features [cells, n, width]."""
    _, n, width = features.shape
    return (SampleForm if n < SAMPLES_PER_FEATURE * width else FeatureForm)(features)


def gram(features: Tensor) -> Tensor:
    """X Xᵀ per cell, [cells, n, n]; panel by panel, so that only one triangle is computed."""
    cells, n, _ = features.shape
    out = features.new_empty(cells, n, n)
    edges = [round(panel * n / GRAM_PANELS) for panel in range(GRAM_PANELS + 1)]
    for start, end in pairwise(edges):
        block = features[:, start:end] @ features[:, start:].mT
        out[:, start:end, start:] = block
        out[:, start:, start:end] = block.mT
    return out


def _test_matrix(features: Tensor, size: int) -> Tensor:
    """The same random matrix [cells, size, q] for every cell: neighbours must not matter."""
    wanted = min(max(size // RANK_SHARE, RANKS[0]), RANKS[1])
    rank = min(wanted, *features.shape[1:])
    test = torch.randn(size, rank, generator=torch.Generator().manual_seed(0))
    return test.to(features).expand(len(features), -1, -1)


def _leading(parts: Tensor, values: Tensor, total: Tensor, size: int) -> Leading:
    """total: sum of all squared singular values, [cells]."""
    others = max(size - values.shape[-1], 1)
    rest = (total - values.sum(-1)).clamp_min(0) / others
    return Leading(parts.contiguous(), values[:, None], rest[:, None])


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def _negligible(values: Tensor) -> Tensor:
    """Squared singular values that rounding cannot tell from zero lie below this."""
    return 1e-5 * values.amax(-1, keepdim=True).clamp_min(1e-30)
