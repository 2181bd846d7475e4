"""Fitting: the numbers under which right answers are likeliest, where that is a convex question."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from extract.answering.part import Lesson

MOST_STEPS = 200
RIDGES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Tried from strong to weak; the best on val stays."""


def fit(
    scores: Callable[[Tensor], Tensor], start: Tensor, lesson: Lesson, ridge: float
) -> tuple[Tensor, float]:
    """The numbers under which a lesson's right classes are likeliest, less half the ridge times the
    sum of their squares, and the mean loss then; `scores` (n, classes) are affine in them.
    """
    numbers = start.clone().requires_grad_()

    def mean_loss() -> Tensor:
        losses = nn.functional.cross_entropy(scores(numbers), lesson.classes, reduction="none")
        return (losses * lesson.weights).mean()

    minimise(numbers, lambda: mean_loss() + 0.5 * ridge * numbers.square().sum())
    return numbers.detach(), float(mean_loss().detach())


def minimise(numbers: Tensor, loss: Callable[[], Tensor]) -> None:
    """Move `numbers`, in place, to where a smooth convex loss of them is least (L-BFGS)."""
    optimiser = torch.optim.LBFGS(
        [numbers], max_iter=MOST_STEPS, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        found = loss()
        found.backward()
        return found

    with torch.enable_grad():
        optimiser.step(closure)
