"""Linear probes of one width together: standardise on train, fit a path, choose on val, report.

Everything random, shared or ordered is fixed: the same inputs give the same numbers whatever other
loci are fitted next to them.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from analysis.parallel import one_torch_thread
from analysis.probes.solver import Form, Solution, Stop, form_of, joined, solve_path
from analysis.probes.standardise import standardise
from warehouse.errors import LayerhouseError

# Standardised features have the squared norm `width`, so penalties that mean the same at every
# locus are multiples of 1/width: half decades from "almost the prior" to "separates train".
RELATIVE_PENALTIES = tuple(10 ** (step / 2) for step in range(-4, 7))

# The logit of a class that train never showed lies this far below the row's smallest.
UNSEEN_DROP = 30.0

# Weights of several penalties are formed together up to this many numbers.
WEIGHT_BLOCK = 2**25


@dataclass(frozen=True)
class LinearOptions:
    """How far to solve, in which precision, and where.

    With the default `stop`, float32 agrees with the exact solution to about 1e-3 in probability;
    float64 doubles time and memory.
    """

    stop: Stop = field(default_factory=Stop)
    dtype: torch.dtype = torch.float32
    device: str = "cpu"


class Part(NamedTuple):
    """One split: raw features [loci, n, width] and class indices [sets, n], a row per label set."""

    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class LinearFits:
    """The chosen probe of every (locus, label set).

    penalty: C as in scikit-learn, [loci, sets]; val_accuracy: [penalties, loci, sets];
    val_logits, test_logits: [loci, sets, n, classes]; weight [loci, sets, classes, width] and
    intercept [loci, sets, classes] for raw features, over the classes that train shows;
    converged: within ten times the bounds of `Stop`, [loci, sets].
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
    train: Part,
    val: Part,
    test: Tensor,
    n_classes: int,
    penalties: tuple[float, ...] | None = None,
    options: LinearOptions | None = None,
    choose: Literal["accuracy", "log_loss"] = "accuracy",
) -> LinearFits:
    """Fit every penalty for every locus and label set, keep the best on val.

    Best is the highest val accuracy, then the lowest val log loss, then the strongest penalty; with
    `choose="log_loss"`, for those who need probabilities, the accuracy is not asked.
    The feature tensors are consumed (standardised in place). Label sets share their features'
    decomposition; every set must show the same classes on train.
    """
    options = options or LinearOptions()
    seen = seen_classes(train.labels)
    penalties = tuple(sorted(penalties or penalty_grid(train.features.shape[2])))
    moments = standardise(train.features)
    form = form_of(train.features)
    path = _solve(form, train.labels, seen, penalties, options)
    scaled = moments.inverse_scale[:, None]
    val_features = moments.centre(val.features).mul_(scaled)
    logits = path_logits(form, path, val_features)
    accuracy, loss = _val_scores(logits, val.labels, seen)
    best = _best(accuracy, loss) if choose == "accuracy" else loss.argmin(0)
    coef, intercept, norm, decrement = (
        _pick(torch.stack([getattr(solution, name) for solution in path]), best)
        for name in ("coef", "intercept", "gradient_norm", "decrement")
    )
    stop = options.stop
    converged = (norm <= 10 * stop.gradient) & (decrement <= 10 * stop.decrement)
    weight = form.weights(coef.flatten(1, 2)).view(*coef.shape[:3], -1)
    test_logits = _logits(weight, intercept, moments.centre(test).mul_(scaled))
    raw_weight, raw_intercept = moments.raw_coefficients(weight, intercept)
    return LinearFits(
        penalty=np.asarray(penalties)[best.cpu().numpy()],
        val_accuracy=accuracy.double().cpu().numpy(),
        val_logits=widen(_pick(logits, best), seen, n_classes),
        test_logits=widen(test_logits, seen, n_classes),
        weight=raw_weight,
        intercept=raw_intercept,
        converged=converged.cpu().numpy(),
        iterations=tuple(solution.iterations for solution in path),
    )


def widen(logits: Tensor, seen: Tensor, n_classes: int) -> NDArray[np.float32]:
    """Logits [..., seen classes] with a column for every class, unseen ones far below the rest."""
    low = logits.amin(-1, keepdim=True) - UNSEEN_DROP
    wide = low.expand(*logits.shape[:-1], n_classes).clone()
    wide[..., seen] = logits
    return wide.float().cpu().numpy()


def seen_classes(labels: Tensor) -> Tensor:
    """The classes of train, the same in every label set; one class alone cannot be probed."""
    seen = labels[0].unique()
    if len(seen) < 2:
        raise LayerhouseError(
            "the train split shows one class only; a probe needs samples of at least two classes"
        )
    if any(not torch.equal(row.unique(), seen) for row in labels):
        raise LayerhouseError("label sets fitted together must show the same classes on train")
    return seen


def _solve(
    form: Form,
    labels: Tensor,
    seen: Tensor,
    penalties: tuple[float, ...],
    options: LinearOptions,
) -> list[Solution]:
    """The path of all label sets. The first one is solved alone, the others side by side:
    true and shuffled labels need very different numbers of iterations.
    """
    target = one_hot(torch.searchsorted(seen, labels.contiguous()), len(seen))
    target = target.mT.to(form.features).contiguous()
    # Two classes: scikit-learn's binomial form has one weight vector w. Ours are ±w/2, whose
    # squared norm is half as large, so the same objective needs twice the strength.
    factor = 2.0 if len(seen) == 2 else 1.0
    strengths = [factor / penalty for penalty in penalties]
    paths = [
        solve_path(form, part, strengths, options.stop)
        for part in (target[:1], target[1:])
        if len(part)
    ]
    return [joined(solutions) for solutions in zip(*paths, strict=True)]


def _logits(weight: Tensor, intercept: Tensor, features: Tensor) -> Tensor:
    """[loci, sets, n, classes] from weight [loci, sets, classes, width] on the same scale."""
    rows = weight.flatten(1, 2) @ features.mT
    return (rows.view(*weight.shape[:3], -1) + intercept[..., None]).mT


def path_logits(form: Form, path: list[Solution], features: Tensor) -> Tensor:
    """Logits of all penalties [penalties, loci, sets, n, classes], a block of penalties at once."""
    loci, sets, classes, _ = path[0].coef.shape
    width = form.features.shape[2]
    block = max(1, WEIGHT_BLOCK // (loci * sets * classes * width))
    out = []
    for start in range(0, len(path), block):
        part = path[start : start + block]
        coef = torch.stack([solution.coef for solution in part], dim=1)
        rows = form.weights(coef.flatten(1, 3)) @ features.mT
        rows = rows.view(loci, len(part), sets, classes, -1)
        intercept = torch.stack([solution.intercept for solution in part], dim=1)
        out.append((rows + intercept[..., None]).mT.transpose(0, 1))
    return torch.cat(out)


def _val_scores(logits: Tensor, labels: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and log loss on val, both [penalties, loci, sets].

    A val sample of a class that train never showed counts as wrong in the accuracy of every
    penalty alike and is left out of the log loss.
    """
    place = torch.searchsorted(seen, labels.contiguous()).clamp_max(len(seen) - 1)
    known = seen[place] == labels
    accuracy = ((logits.argmax(-1) == place) & known).double().mean(-1)
    index = place.expand(logits.shape[:-1])[..., None]
    loss = -logits.log_softmax(-1).gather(-1, index)[..., 0].double()
    return accuracy, (loss * known).sum(-1) / known.sum(-1).clamp_min(1)


def _best(accuracy: Tensor, loss: Tensor) -> Tensor:
    """Index of the chosen penalty, [loci, sets]."""
    loss = loss.masked_fill(accuracy < accuracy.amax(0), torch.inf)
    return loss.argmin(0)


def _pick(rows: Tensor, best: Tensor) -> Tensor:
    """rows [penalties, loci, sets, …] at the chosen penalty."""
    loci, sets = best.shape
    first = torch.arange(loci, device=best.device)[:, None]
    second = torch.arange(sets, device=best.device)[None]
    return rows[best, first, second]
