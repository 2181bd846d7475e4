"""Linear probes of one width together: standardise on train, fit a path, choose on val, report.

Everything random, shared or ordered is fixed: the same inputs give the same numbers whatever other
cells are fitted next to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from analysis.logits import widen
from analysis.parallel import one_torch_thread
from analysis.probes.logistic.forms import OwnForm, form_of
from analysis.probes.logistic.solver import Solution, Stop, solve_path
from analysis.probes.penalties import best_penalty, picked, val_scores
from analysis.probes.probe_kind import (
    Fits,
    FoldFit,
    LabelledVectors,
    ProbeData,
    ProbeKind,
    seen_classes,
)
from analysis.probes.rotations import chosen_rows, fit_together, pays
from analysis.probes.standardising import standardise

# Standardised features have the squared norm `width`, so penalties that mean the same at every
# cell are multiples of 1/width: half decades from "almost the prior" to "separates train".
RELATIVE_PENALTIES = tuple(10 ** (step / 2) for step in range(-4, 7))

MAX_CELLS = 16  # on a CPU: more at once would leave cores idle at the end

# Weights of several penalties are formed together up to this many numbers.
WEIGHT_BLOCK = 2**25

DEFAULT_STOP = Stop()


@dataclass(frozen=True)
class LinearProbe(ProbeKind):
    """Logistic regression: how far to solve, and in which precision.

    With the default `stop`, float32 agrees with the exact solution to about 1e-3 in probability;
    float64 doubles time and memory.
    """

    name = "linear"
    is_random = False

    stop: Stop = DEFAULT_STOP
    dtype: torch.dtype = torch.float32

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "dtype": str(self.dtype).removeprefix("torch."),
            "relative_penalties": [float(f"{value:.6g}") for value in RELATIVE_PENALTIES],
        }

    def most_cells(self, n_samples: int, width: int, n_sets: int) -> int:
        most = self.chunk_bytes // (4 * n_samples * (width + min(n_samples, width)))
        return min(most, MAX_CELLS) if self.device == "cpu" else most

    def fit(self, data: ProbeData) -> Fits:
        train, val = (
            split._replace(features=split.features.to(self.dtype))
            for split in (data.train, data.val)
        )
        test = data.test.to(self.dtype)
        fits = fit_linear(train, val, test, data.n_classes, stop=self.stop)
        accuracy = fits.val_accuracy.max(0)
        return Fits(
            fits.val_logits,
            fits.test_logits,
            chosen_rows(fits.penalty, accuracy, fits.converged),
        )

    def fit_folds(
        self, features: Tensor, folds: Sequence[FoldFit], n_classes: int
    ) -> Sequence[Fits]:
        if not pays(features, folds):
            return super().fit_folds(features, folds, n_classes)
        penalties = penalty_grid(features.shape[2])
        return fit_together(features.to(self.dtype), folds, n_classes, penalties, self.stop)


KIND = LinearProbe()


@dataclass(frozen=True)
class LinearFits:
    """The chosen probe of every (cell, label set).

    penalty: C as in scikit-learn, [cells, sets]; val_accuracy: [penalties, cells, sets];
    val_logits, test_logits: [cells, sets, n, classes]; weight [cells, sets, classes, width] and
    intercept [cells, sets, classes] for raw features, over the classes that train shows;
    converged: within ten times the bounds of `Stop`, [cells, sets].
    """

    penalty: NDArray[np.float64]
    val_accuracy: NDArray[np.float64]
    val_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    weight: Tensor
    intercept: Tensor
    converged: NDArray[np.bool_]
    iterations: tuple[int, ...]


def penalty_grid(width: int) -> tuple[float, ...]:
    """The default path of scikit-learn's C for features of this width, strong to weak."""
    return tuple(relative / width for relative in RELATIVE_PENALTIES)


@one_torch_thread()
def fit_linear(
    train: LabelledVectors,
    val: LabelledVectors,
    test: Tensor,
    n_classes: int,
    penalties: tuple[float, ...] | None = None,
    stop: Stop = DEFAULT_STOP,
    choose: Literal["accuracy", "log_loss"] = "accuracy",
) -> LinearFits:
    """Fit every penalty for every cell and label set, keep the best on val.

    Samples weigh in the loss and on val as both say. Best is the highest val accuracy, then the
    lowest val log loss, then the strongest penalty; with `choose="log_loss"`, for those who need
    probabilities, the accuracy is not asked.
    The feature tensors are consumed (standardised in place). Label sets share their features'
    decomposition; every set must show the same classes on train.
    """
    seen = seen_classes(train.labels)
    penalties = tuple(sorted(penalties or penalty_grid(train.features.shape[2])))
    moments = standardise(train.features)
    form = form_of(train.features)
    path = _solve(form, train, seen, penalties, stop)
    scaled = moments.inverse_scale[:, None]
    val_features = moments.centre(val.features).mul_(scaled)
    logits = path_logits(form, path, val_features)
    accuracy, loss = val_scores(logits, val.labels, seen, val.weights)
    best = best_penalty(accuracy, loss) if choose == "accuracy" else loss.argmin(0)
    coef, intercept, norm, decrement = (
        picked(torch.stack([getattr(solution, name) for solution in path]), best)
        for name in ("coef", "intercept", "gradient_norm", "decrement")
    )
    converged = (norm <= 10 * stop.gradient) & (decrement <= 10 * stop.decrement)
    weight = form.weights(coef.flatten(1, 2)).view(*coef.shape[:3], -1)
    test_logits = _logits(weight, intercept, moments.centre(test).mul_(scaled))
    raw_weight, raw_intercept = moments.raw_coefficients(weight, intercept)
    named = seen.cpu().numpy()
    return LinearFits(
        penalty=np.asarray(penalties)[best.cpu().numpy()],
        val_accuracy=accuracy.double().cpu().numpy(),
        val_logits=widen(picked(logits, best).cpu().numpy(), named, n_classes),
        test_logits=widen(test_logits.cpu().numpy(), named, n_classes),
        weight=raw_weight,
        intercept=raw_intercept,
        converged=converged.cpu().numpy(),
        iterations=tuple(solution.iterations for solution in path),
    )


def _solve(
    form: OwnForm,
    train: LabelledVectors,
    seen: Tensor,
    penalties: tuple[float, ...],
    stop: Stop,
) -> list[Solution]:
    target = one_hot(torch.searchsorted(seen, train.labels.contiguous()), len(seen))
    target = target.mT.to(form.features).contiguous()
    if train.weights is not None:
        target *= train.weights[:, None]
    # Two classes: scikit-learn's binomial form has one weight vector w. Ours are ±w/2, whose
    # squared norm is half as large, so the same objective needs twice the strength.
    factor = 2.0 if len(seen) == 2 else 1.0
    return solve_path(form, target, [factor / penalty for penalty in penalties], stop)


def _logits(weight: Tensor, intercept: Tensor, features: Tensor) -> Tensor:
    """[cells, sets, n, classes] from weight [cells, sets, classes, width] on the same scale."""
    rows = weight.flatten(1, 2) @ features.mT
    return (rows.view(*weight.shape[:3], -1) + intercept[..., None]).mT


def path_logits(form: OwnForm, path: list[Solution], features: Tensor) -> Tensor:
    """Logits [penalties, cells, sets, n, classes] of a path, a block of penalties at once.

    features: [cells, n, width], standardised.
    """
    cells, sets, classes, _ = path[0].coef.shape
    width = form.features.shape[2]
    block = max(1, WEIGHT_BLOCK // (cells * sets * classes * width))
    out = []
    for start in range(0, len(path), block):
        part = path[start : start + block]
        coef = torch.stack([solution.coef for solution in part], dim=1)
        rows = form.weights(coef.flatten(1, 3)) @ features.mT
        rows = rows.view(cells, len(part), sets, classes, -1)
        intercept = torch.stack([solution.intercept for solution in part], dim=1)
        out.append((rows + intercept[..., None]).mT.transpose(0, 1))
    return torch.cat(out)
