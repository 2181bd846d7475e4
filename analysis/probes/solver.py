"""L2-regularised multinomial logistic regression for many feature sets and label sets at once.

Objective per (locus, label set), the one of scikit-learn's `LogisticRegression(C)`:

    sum_i −log softmax(W x_i + b)[y_i]  +  strength/2 · ‖W‖²,      b unpenalised.

The ridge solution lies in the span of the training samples, so nothing is lost by working there.
With more features than samples the unknowns are one number per sample and class, W = A X, and the
N×N Gram matrix K = X Xᵀ is all that is read; otherwise they are W itself. Either way one iteration
costs one or two thin matrix products, and the Gram matrix is shared by all penalties, classes and
label sets.

The solver is a preconditioned non-linear conjugate gradient (Polak–Ribière+) with a line search
that is exact and nearly free, because the logits are linear in the step. The preconditioner
treats the leading singular directions of X (randomised range finder, Halko et al. 2011; Nyström
preconditioning, Frangella, Tropp & Udell 2021) with their own curvature and the rest with the mean
one: activations have steep spectra, on which plain L-BFGS takes ten times more iterations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

MAX_RANK = 64  # singular directions the preconditioner treats one by one
LINE_SEARCH_STEPS = 8
SLOPE_SHARE = 0.1  # the line search stops at this share of the slope it started with
GRAM_PANELS = 8


class Vector(NamedTuple):
    """A point or direction for every problem.

    coef: [parts, loci, sets, classes, n]. In the sample form parts = 2: the coordinates over
    samples and their image under the Gram matrix, so that inner products of the weights they
    stand for need no further product; in the feature form parts = 1. intercept: [loci, sets,
    classes].
    """

    coef: Tensor
    intercept: Tensor


def add(point: Vector, factor: Tensor, direction: Vector) -> Vector:
    """point + factor · direction, factor [loci, sets]."""
    return Vector(
        point.coef + factor[..., None, None] * direction.coef,
        point.intercept + factor[..., None] * direction.intercept,
    )


def inner(left: Vector, right: Vector) -> Tensor:
    """Inner products in weight space, [loci, sets]."""
    weights = torch.linalg.vecdot(left.coef[0].flatten(-2), right.coef[-1].flatten(-2))
    return weights + torch.linalg.vecdot(left.intercept, right.intercept)


class Leading(NamedTuple):
    """The leading singular directions of some features, found with a random test matrix.

    basis: [parts, loci, q, n], orthonormal in weight space; values: their squared singular values
    [loci, q], 0 where there is none; rest: the mean squared singular value of all others, [loci].
    """

    basis: Tensor
    values: Tensor
    rest: Tensor


class SampleForm:
    """Unknowns over samples: W = coef · X, read through K = X Xᵀ only."""

    parts = 2

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.gram = gram(features)
        self.size = features.shape[1]

    def image(self, coef: Tensor) -> Tensor:
        """Both parts of a vector from its coordinates [loci, sets, classes, n]."""
        return torch.stack([coef, _product(coef, self.gram)])

    def logits(self, vector: Vector) -> Tensor:
        return vector.coef[1] + vector.intercept[..., None]

    def data_gradient(self, residual: Tensor) -> Tensor:
        return self.image(residual)

    def weights(self, coef: Tensor) -> Tensor:
        """Weights [loci, rows, width] of coordinates [loci, rows, n]."""
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

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.size = features.shape[2]

    def image(self, coef: Tensor) -> Tensor:
        return coef[None]

    def logits(self, vector: Vector) -> Tensor:
        return _product(vector.coef[0], self.features.mT) + vector.intercept[..., None]

    def data_gradient(self, residual: Tensor) -> Tensor:
        return _product(residual, self.features)[None]

    def weights(self, coef: Tensor) -> Tensor:
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


Form = SampleForm | FeatureForm


def form_of(features: Tensor) -> Form:
    """The smaller of the two forms for standardised features [loci, n, width]."""
    return SampleForm(features) if features.shape[1] < features.shape[2] else FeatureForm(features)


def gram(features: Tensor) -> Tensor:
    """X Xᵀ per locus, [loci, n, n]; panel by panel, so that only one triangle is computed."""
    loci, n, _ = features.shape
    out = features.new_empty(loci, n, n)
    edges = [round(panel * n / GRAM_PANELS) for panel in range(GRAM_PANELS + 1)]
    for start, end in pairwise(edges):
        block = features[:, start:end] @ features[:, start:].mT
        out[:, start:end, start:] = block
        out[:, start:, start:end] = block.mT
    return out


@dataclass(frozen=True)
class Preconditioner:
    """An approximate inverse Hessian of the loss at one strength, SPD in weight space."""

    basis: Tensor  # [parts, loci, q, n]
    low: Tensor  # [loci, sets, q]: what the leading directions get beyond `rest`
    rest: Tensor  # [loci, sets]
    intercept: Tensor  # [loci, sets]

    def __call__(self, vector: Vector) -> Vector:
        shares = _product(vector.coef[-1], self.basis[0].mT) * self.low[:, :, None]
        shape = vector.coef.shape
        leading = shares.flatten(1, 2) @ self.basis
        return Vector(
            vector.coef * self.rest[..., None, None] + leading.view(shape),
            vector.intercept * self.intercept[..., None],
        )


@dataclass(frozen=True)
class Stop:
    """When a problem counts as solved: both bounds hold, or the iterations are used up.

    gradient: 2-norm of the mean objective's gradient, never below the largest entry, which
    scikit-learn's `tol` (default 1e-4) bounds. decrement: √(gᵀ H⁻¹ g) of the summed objective with
    the preconditioner as H⁻¹; half its square estimates what is left to gain. The gradient alone
    stops too early at weak penalties, where flat directions still move the probabilities.
    """

    gradient: float = 1e-4
    decrement: float = 5e-4
    iterations: int = 500


@dataclass(frozen=True)
class Solution:
    """What one strength ended with.

    coef: [loci, sets, classes, n] coordinates of the form; intercept: [loci, sets, classes];
    gradient_norm, decrement: [loci, sets], see `Stop`; iterations: of the slowest problem.
    """

    coef: Tensor
    intercept: Tensor
    gradient_norm: Tensor
    decrement: Tensor
    iterations: int


def joined(solutions: Sequence[Solution]) -> Solution:
    """Solutions of several label sets at the same strength, side by side."""
    return Solution(
        coef=torch.cat([one.coef for one in solutions], dim=1),
        intercept=torch.cat([one.intercept for one in solutions], dim=1),
        gradient_norm=torch.cat([one.gradient_norm for one in solutions], dim=1),
        decrement=torch.cat([one.decrement for one in solutions], dim=1),
        iterations=max(one.iterations for one in solutions),
    )


def solve_path(form: Form, target: Tensor, strengths: list[float], stop: Stop) -> list[Solution]:
    """Solutions for every strength, strong to weak, each started from the one before.

    target: [sets, classes, n] one-hot, every class with at least one sample.
    """
    loci = len(form.features)
    sets, classes, _ = target.shape
    prior = target.mean(-1).log()
    zero = target.new_zeros(form.parts, loci, sets, classes, form.size)
    point = Vector(zero, (prior - prior.mean(-1, keepdim=True)).expand(loci, sets, classes))
    path: list[Solution] = []
    before = point
    for strength in strengths:
        if path:
            before, point = point, _extrapolate(form, target, before, point, strength)
        point = Vector(form.image(point.coef[0]), point.intercept)
        solution, point = _minimise(form, target, point, strength, stop)
        path.append(solution)
    return path


def _extrapolate(
    form: Form, target: Tensor, before: Vector, point: Vector, strength: float
) -> Vector:
    """The best point for a new strength on the line through the last two solutions.

    The path of solutions is smooth in the strength: this saves a third of the iterations.
    """
    direction = Vector(point.coef - before.coef, point.intercept - before.intercept)
    logits = form.logits(point)
    prob = logits.softmax(-2)
    gradient = _gradient(form, prob - target, point, strength)
    everywhere = torch.ones(prob.shape[:2], dtype=torch.bool, device=prob.device)
    ray = _ray(form, logits, target, gradient, point, direction, strength)
    length, _, _ = _line_search(ray, prob, everywhere)
    return add(point, length, direction)


def _gradient(form: Form, residual: Tensor, point: Vector, strength: float) -> Vector:
    """Of the summed objective, from the residual probabilities − target."""
    return Vector(form.data_gradient(residual) + strength * point.coef, residual.sum(-1))


def _minimise(
    form: Form,
    target: Tensor,
    point: Vector,
    strength: float,
    stop: Stop,
) -> tuple[Solution, Vector]:
    """One strength from a warm start; a problem that has converged is left alone."""
    n = target.shape[-1]
    logits = form.logits(point)
    prob = logits.softmax(-2)
    precondition = _preconditioner(form.leading, prob, strength)
    stalled = torch.zeros(prob.shape[:2], dtype=torch.bool, device=prob.device)
    gradient: Vector | None = None
    direction: Vector | None = None
    squared = prob.new_ones(prob.shape[:2])
    for iteration in range(stop.iterations + 1):
        previous, gradient = gradient, _gradient(form, prob - target, point, strength)
        step = precondition(gradient)
        before, squared = squared, inner(step, gradient)
        norm = inner(gradient, gradient).clamp_min(0).sqrt() / n
        decrement = squared.clamp_min(0).sqrt()
        active = ((norm > stop.gradient) | (decrement > stop.decrement)) & ~stalled
        if iteration == stop.iterations or not active.any():
            break
        turn = torch.zeros_like(squared)
        if previous is not None:
            turn = ((squared - inner(step, previous)) / before).clamp_min(0)
        direction = add(Vector(-step.coef, -step.intercept), turn, direction or step)
        ray = _ray(form, logits, target, gradient, point, direction, strength)
        length, prob, stuck = _line_search(ray, prob, active)
        # Rounding can spoil a conjugate direction; only the plain step without descent is the end.
        stalled |= stuck & (turn == 0)
        point = add(point, length, direction)
        logits = ray.logits + length[..., None, None] * ray.change
    return Solution(point.coef[0], point.intercept, norm, decrement, iteration), point


class _Ray(NamedTuple):
    """The objective along one direction from the current point.

    logits and their change per unit length [loci, sets, classes, n]; slope: the objective's
    derivative at length 0; drift and bend: first and second derivative of the penalty; all
    [loci, sets].
    """

    logits: Tensor
    change: Tensor
    target: Tensor
    slope: Tensor
    drift: Tensor
    bend: Tensor


def _ray(
    form: Form,
    logits: Tensor,
    target: Tensor,
    gradient: Vector,
    point: Vector,
    direction: Vector,
    strength: float,
) -> _Ray:
    return _Ray(
        logits=logits,
        change=form.logits(direction),
        target=target,
        slope=inner(gradient, direction),
        drift=strength * inner(_weights_only(point), direction),
        bend=strength * inner(_weights_only(direction), direction),
    )


def _line_search(ray: _Ray, prob: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Newton steps along a ray: (length [loci, sets], probabilities there, stuck [loci, sets]).

    prob: probabilities at length 0. A problem is stuck when rounding leaves no descent; stuck and
    inactive ones stay at length 0.
    """
    stuck = active & ~(ray.slope < 0)
    settled = ~active | stuck
    length = torch.zeros_like(ray.slope)
    slope = ray.slope
    named = (ray.target * ray.change).sum((-2, -1))
    weighted = prob * ray.change
    for _ in range(LINE_SEARCH_STEPS):
        bend = (weighted * ray.change).sum((-2, -1)) - weighted.sum(-2).square().sum(-1)
        proposed = length - slope / (bend + ray.bend).clamp_min(1e-30)
        bounded = proposed.clamp(min=0.1 * length, max=4 * length)
        length = torch.where(settled, length, torch.where(length > 0, bounded, proposed))
        prob = (ray.logits + length[..., None, None] * ray.change).softmax(-2)
        weighted = prob * ray.change
        slope = weighted.sum((-2, -1)) - named + ray.drift + length * ray.bend
        settled = settled | (slope.abs() <= SLOPE_SHARE * ray.slope.abs())
        if settled.all():
            break
    return length, prob, stuck


def _preconditioner(leading: Leading, prob: Tensor, strength: float) -> Preconditioner:
    """One curvature for all samples and classes of a problem: the mean of the loss's own."""
    classes, n = prob.shape[-2:]
    curvature = (prob * (1 - prob)).sum(-2).mean(-1) / (classes - 1)
    curvature = curvature.clamp_min(1e-4)
    flat = 1 / (curvature * leading.rest[:, None] + strength)
    steep = 1 / (curvature[..., None] * leading.values[:, None] + strength)
    low = torch.where(leading.values[:, None] > 0, steep - flat[..., None], 0.0)
    return Preconditioner(leading.basis, low, flat, 1 / (curvature * n))


def _test_matrix(features: Tensor, size: int) -> Tensor:
    """The same random matrix [loci, size, q] for every locus: neighbours must not matter."""
    rank = min(MAX_RANK, *features.shape[1:])
    test = torch.randn(size, rank, generator=torch.Generator().manual_seed(0))
    return test.to(features).expand(len(features), -1, -1)


def _leading(parts: Tensor, values: Tensor, total: Tensor, size: int) -> Leading:
    """total: sum of all squared singular values, [loci]."""
    others = max(size - values.shape[-1], 1)
    return Leading(parts.contiguous(), values, (total - values.sum(-1)).clamp_min(0) / others)


def _weights_only(vector: Vector) -> Vector:
    """The penalised part."""
    return Vector(vector.coef, torch.zeros_like(vector.intercept))


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """[loci, sets, classes, a] times [loci, a, b], one product per locus."""
    loci, sets, classes, _ = rows.shape
    return (rows.flatten(1, 2) @ matrix).view(loci, sets, classes, -1)


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def _negligible(values: Tensor) -> Tensor:
    """Squared singular values that rounding cannot tell from zero lie below this."""
    return 1e-5 * values.amax(-1, keepdim=True).clamp_min(1e-30)
