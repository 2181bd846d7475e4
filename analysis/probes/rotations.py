"""Linear probes of all rotations of folds at once, on one copy of the features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from analysis.logits import widen
from analysis.parallel import one_torch_thread
from analysis.probes.logistic.forms import Vector
from analysis.probes.logistic.shared import shared_form
from analysis.probes.logistic.solver import Stop, solve_path
from analysis.probes.penalties import best_penalty, picked, val_scores
from analysis.probes.probe_kind import Fits, FoldFit
from warehouse.catalogue import Places

LEAST_WIDTH = 256
"""Below, products cost little beside what is done per sample, and that is done for all of them."""
LEAST_TRAIN = 1 / 3
"""Of the width: with fewer train samples products with their Gram matrices are cheaper."""
MOST_NUMBERS = 2**25
"""What one of the solver's vectors may hold; it has about a dozen."""


HeldOut = tuple[slice | Places, Tensor, Tensor | None]
"""The val samples of a rotation: where they are, their labels [sets, n], and what they weigh."""


def pays(features: Tensor, folds: Sequence[FoldFit]) -> bool:
    """Whether rotations are solved sooner together: there are several of wide features and many
    samples, with equally many label sets that show the same classes in train each."""
    width = features.shape[2]
    n_train = min(fold.labels[0, fold.rotation.train].numel() for fold in folds)
    if len(folds) < 2 or width < LEAST_WIDTH or n_train < LEAST_TRAIN * width:
        return False
    shown = {
        tuple(row[fold.rotation.train].unique().tolist()) for fold in folds for row in fold.labels
    }
    return len(shown) == 1 and len({len(fold.labels) for fold in folds}) == 1


@one_torch_thread()
def fit_together(
    features: Tensor,
    folds: Sequence[FoldFit],
    n_classes: int,
    penalties: Sequence[float],
    stop: Stop,
) -> list[Fits]:
    """What each fit finds alone, on features [cells, n samples, width] that may be overwritten.

    As many rotations and cells at once as `MOST_NUMBERS` allows.
    """
    cells, n, width = features.shape
    each = len(folds[0].labels) * n_classes * max(n, width)
    most = max(1, MOST_NUMBERS // each)
    if most < len(folds) and cells > 1:
        alone = [fit_together(one[None], folds, n_classes, penalties, stop) for one in features]
        return [_side_by_side(parts) for parts in zip(*alone, strict=True)]
    most = max(1, most // cells)
    return [
        fits
        for start in range(0, len(folds), most)
        for fits in _fit(features.clone(), folds[start : start + most], n_classes, penalties, stop)
    ]


def _side_by_side(parts: Sequence[Fits]) -> Fits:
    return Fits(
        np.concatenate([part.val_logits for part in parts]),
        np.concatenate([part.test_logits for part in parts]),
        [row for part in parts for row in part.chosen],
    )


def _fit(
    features: Tensor,
    folds: Sequence[FoldFit],
    n_classes: int,
    penalties: Sequence[float],
    stop: Stop,
) -> list[Fits]:
    each = len(folds[0].labels)
    labels = torch.cat([fold.labels for fold in folds])
    trains = [torch.as_tensor(fold.rotation.train, device=features.device) for fold in folds]
    seen = labels[0, trains[0]].unique()
    form = shared_form(features, trains, each)
    # A class that no train sample shows has no column; such samples weigh nothing.
    place = torch.searchsorted(seen, labels).clamp_max(len(seen) - 1)
    target = one_hot(place, len(seen)).mT * _train_weights(folds, trains)[:, None]
    factor = 2.0 if len(seen) == 2 else 1.0  # as in `kinds.linear`
    path = solve_path(form, target.to(features), [factor / one for one in penalties], stop)
    held_out = [(fold.rotation.val, *fold.told(fold.rotation.val)) for fold in folds]
    scores = [
        _scores(form.logits(Vector(one.coef[None], one.intercept)), held_out, seen) for one in path
    ]
    accuracy, loss = (torch.stack(one) for one in zip(*scores, strict=True))
    best = best_penalty(accuracy, loss)
    coef, intercept, norm, decrement = (
        picked(torch.stack([getattr(solution, name) for solution in path]), best)
        for name in ("coef", "intercept", "gradient_norm", "decrement")
    )
    converged = (norm <= 10 * stop.gradient) & (decrement <= 10 * stop.decrement)
    logits = form.logits(Vector(coef[None], intercept)).mT.cpu().numpy()
    rows = (
        np.asarray(penalties)[best.cpu().numpy()],
        accuracy.amax(0).cpu().numpy(),
        converged.cpu().numpy(),
    )
    found = []
    for number, fold in enumerate(folds):
        sets = slice(number * each, (number + 1) * each)
        val, test = (
            widen(logits[:, sets, places], seen.cpu().numpy(), n_classes)
            for places in (fold.rotation.val, fold.rotation.test)
        )
        found.append(Fits(val, test, chosen_rows(*(one[:, sets] for one in rows))))
    return found


def _train_weights(folds: Sequence[FoldFit], trains: Sequence[Tensor]) -> Tensor:
    """What each sample weighs where a set is fitted, [sets, n samples]: 0 outside of its train."""
    found = []
    for fold, rows in zip(folds, trains, strict=True):
        _, weights = fold.told(fold.rotation.train)
        whole = torch.zeros(fold.labels.shape, device=fold.labels.device)
        whole[:, rows] = 1.0 if weights is None else weights
        found.append(whole)
    return torch.cat(found)


def _scores(logits: Tensor, held_out: Sequence[HeldOut], seen: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and log loss of each set on the val samples of its rotation, [cells, sets]."""
    each = logits.shape[1] // len(held_out)
    found = []
    for number, (rows, labels, weights) in enumerate(held_out):
        mine = logits[None, :, number * each : (number + 1) * each][..., rows].mT
        found.append(val_scores(mine, labels, seen, weights))
    accuracy, loss = (torch.cat(one, dim=2)[0] for one in zip(*found, strict=True))
    return accuracy, loss


def chosen_rows(
    penalty: NDArray[np.float64], accuracy: NDArray[np.float64], converged: NDArray[np.bool_]
) -> list[list[dict[str, Any]]]:
    """What fitting chose and found, all [cells, sets]."""
    return [
        [
            {"C": float(f"{c:.6g}"), "val_accuracy": float(a), "converged": bool(done)}
            for c, a, done in zip(*rows, strict=True)
        ]
        for rows in zip(penalty, accuracy, converged, strict=True)
    ]
