"""L2-regularised multinomial logistic regression for many feature sets and label sets at once.

Objective per (cell, label set), the one of scikit-learn's `LogisticRegression(C)`:

    sum_i w_i · −log softmax(W x_i + b)[y_i]  +  strength/2 · ‖W‖²,      b unpenalised,

w_i as scikit-learn's `sample_weight`, 1 unless said otherwise.

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

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from analysis.probes.logistic.forms import Form, Vector, add, inner
from analysis.probes.logistic.goal import Goal
from analysis.probes.logistic.line_search import line_search, ray_from
from analysis.probes.logistic.preconditioner import preconditioner_of


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

    coef: [cells, sets, classes, n] coordinates of the form; intercept: [cells, sets, classes];
    gradient_norm, decrement: [cells, sets], see `Stop`; iterations: of the slowest problem.
    """

    coef: Tensor
    intercept: Tensor
    gradient_norm: Tensor
    decrement: Tensor
    iterations: int


def solve_path(form: Form, target: Tensor, strengths: list[float], stop: Stop) -> list[Solution]:
    """Solutions for every strength, strong to weak, each started from the one before.

    target: [sets, classes, n] one-hot times what the sample weighs, every class with at least one
    sample; 0 for samples that a set is not fitted on.
    """
    cells = len(form.features)
    sets, classes, _ = target.shape
    goal = Goal.of(target)
    prior = target.mean(-1).log()
    zero = target.new_zeros(form.parts, cells, sets, classes, form.size)
    point = Vector(zero, (prior - prior.mean(-1, keepdim=True)).expand(cells, sets, classes))
    path: list[Solution] = []
    before = point
    for strength in strengths:
        if path:
            before, point = point, _extrapolate(form, goal, before, point, strength)
        point = Vector(form.image(point.coef[0]), point.intercept)
        solution, point = _minimise(form, goal, point, strength, stop)
        path.append(solution)
    return path


def _extrapolate(form: Form, goal: Goal, before: Vector, point: Vector, strength: float) -> Vector:
    """The best point for a new strength on the line through the last two solutions.

    The path of solutions is smooth in the strength: this saves a third of the iterations.
    """
    direction = Vector(point.coef - before.coef, point.intercept - before.intercept)
    logits = form.logits(point)
    prob = goal.probabilities(logits)
    gradient = _gradient(form, prob - goal.named, point, strength)
    everywhere = torch.ones(prob.shape[:2], dtype=torch.bool, device=prob.device)
    ray = ray_from(form, logits, goal, gradient, point, direction, strength)
    length, _, _ = line_search(ray, prob, everywhere)
    return add(point, length, direction)


def _gradient(form: Form, residual: Tensor, point: Vector, strength: float) -> Vector:
    """Of the summed objective, from the residual probabilities − target."""
    return Vector(form.data_gradient(residual) + strength * point.coef, residual.sum(-1))


def _minimise(
    form: Form, goal: Goal, point: Vector, strength: float, stop: Stop
) -> tuple[Solution, Vector]:
    """One strength from a warm start.

    Label sets need very different numbers of iterations: once half of them are solved the others
    go on alone.
    """
    solution, point, live = _descend(form, goal, point, strength, stop)
    if 0 < len(live) < len(goal.named):
        left = replace(stop, iterations=stop.iterations - solution.iterations)
        some = Vector(point.coef[:, :, live], point.intercept[:, live])
        rest, some = _minimise(form.of(live), goal.of_sets(live), some, strength, left)
        point = Vector(point.coef.clone(), point.intercept.clone())
        point.coef[:, :, live], point.intercept[:, live] = some
        solution.gradient_norm[:, live] = rest.gradient_norm
        solution.decrement[:, live] = rest.decrement
        solution = replace(
            solution,
            coef=point.coef[0],
            intercept=point.intercept,
            iterations=solution.iterations + rest.iterations,
        )
    return solution, point


def _live(active: Tensor) -> Tensor:
    """The places of the label sets to go on with, as many in each block [blocks, sets of each]."""
    kept = active.any(1, keepdim=True) & active.any(0, keepdim=True)
    return kept.flatten().nonzero()[:, 0]


def _descend(
    form: Form, goal: Goal, point: Vector, strength: float, stop: Stop
) -> tuple[Solution, Vector, Tensor]:
    """Until at most half of the label sets are left, whose places are the last value.

    A problem that has converged is left alone.
    """
    n = goal.named.sum((-2, -1))
    logits = form.logits(point)
    prob = goal.probabilities(logits)
    precondition = preconditioner_of(form.leading, goal, prob, strength)
    stalled = torch.zeros(prob.shape[:2], dtype=torch.bool, device=prob.device)
    gradient: Vector | None = None
    direction: Vector | None = None
    squared = prob.new_ones(prob.shape[:2])
    for iteration in range(stop.iterations + 1):
        previous, gradient = gradient, _gradient(form, prob - goal.named, point, strength)
        step = precondition(gradient)
        before, squared = squared, inner(step, gradient)
        norm = inner(gradient, gradient).clamp_min(0).sqrt() / n
        decrement = squared.clamp_min(0).sqrt()
        active = ((norm > stop.gradient) | (decrement > stop.decrement)) & ~stalled
        live = _live(active.any(0).view(form.blocks, -1))
        if iteration == stop.iterations or len(live) <= len(goal.named) // 2:
            break
        turn = torch.zeros_like(squared)
        if previous is not None:
            # A solved problem may have no gradient left to divide by.
            turned = (squared - inner(step, previous)) / before
            turn = torch.where(active & (before > 0), turned.clamp_min(0), 0.0)
        direction = add(Vector(-step.coef, -step.intercept), turn, direction or step)
        ray = ray_from(form, logits, goal, gradient, point, direction, strength)
        length, prob, stuck = line_search(ray, prob, active)
        # Rounding can spoil a conjugate direction; only the plain step without descent is the end.
        stalled |= stuck & (turn == 0)
        point = add(point, length, direction)
        logits = ray.logits + length[..., None, None] * ray.change
    return Solution(point.coef[0], point.intercept, norm, decrement, iteration), point, live
