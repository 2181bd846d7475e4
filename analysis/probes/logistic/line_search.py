"""A line search that is exact and nearly free, because the logits are linear in the step."""

from typing import NamedTuple

import torch
from torch import Tensor

from analysis.probes.logistic.forms import Form, Vector, inner, weights_only
from analysis.probes.logistic.goal import Goal

LINE_SEARCH_STEPS = 8
SLOPE_SHARE = 0.1  # the line search stops at this share of the slope it started with


class Ray(NamedTuple):
    """The objective along one direction from the current point.

    logits and their change per unit length [cells, sets, classes, n]; slope: the objective's
    derivative at length 0; drift and bend: first and second derivative of the penalty; all
    [cells, sets].
    """

    logits: Tensor
    change: Tensor
    goal: Goal
    slope: Tensor
    drift: Tensor
    bend: Tensor


def ray_from(
    form: Form,
    logits: Tensor,
    goal: Goal,
    gradient: Vector,
    point: Vector,
    direction: Vector,
    strength: float,
) -> Ray:
    """The ray from a point whose logits are [cells, sets, classes, n]."""
    return Ray(
        logits=logits,
        change=form.logits(direction),
        goal=goal,
        slope=inner(gradient, direction),
        drift=strength * inner(weights_only(point), direction),
        bend=strength * inner(weights_only(direction), direction).clamp_min(0),
    )


def line_search(ray: Ray, prob: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Newton steps along a ray: (length [cells, sets], probabilities there, stuck [cells, sets]).

    prob: the goal's probabilities at length 0. A problem is stuck when rounding leaves no descent,
    or none of the curvature that says how far it goes; stuck and inactive ones stay at length 0.
    """
    stuck = active & ~(ray.slope < 0)
    settled = ~active | stuck
    length = torch.zeros_like(ray.slope)
    slope = ray.slope
    named = (ray.goal.named * ray.change).sum((-2, -1))
    weighted = prob * ray.change
    for _ in range(LINE_SEARCH_STEPS):
        means = ray.goal.unweighed(weighted.sum(-2).square())
        bend = (weighted * ray.change).sum((-2, -1)) - means.sum(-1)
        bend = bend.clamp_min(0) + ray.bend  # neither is negative but by rounding
        flat = ~settled & ~(bend > 0)
        stuck, settled = stuck | (flat & (length == 0)), settled | flat
        proposed = length - slope / bend.clamp_min(1e-30)
        bounded = proposed.clamp(min=0.1 * length, max=4 * length)
        length = torch.where(settled, length, torch.where(length > 0, bounded, proposed))
        prob = ray.goal.probabilities(ray.logits + length[..., None, None] * ray.change)
        weighted = prob * ray.change
        slope = weighted.sum((-2, -1)) - named + ray.drift + length * ray.bend
        settled = settled | (slope.abs() <= SLOPE_SHARE * ray.slope.abs())
        if settled.all():
            break
    return length, prob, stuck
