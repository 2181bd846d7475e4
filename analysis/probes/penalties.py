"""Which penalty is kept: by what it scores on val."""

import torch
from torch import Tensor

from analysis.probes.weights import weighed_mean


def val_scores(
    logits: Tensor, labels: Tensor, seen: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Accuracy and log loss on val by what samples weigh there, both [penalties, cells, sets].

    A val sample of a class that train never showed counts as wrong in the accuracy of every
    penalty alike and is left out of the log loss.
    """
    weights = weights if weights is None else weights.double()
    place = torch.searchsorted(seen, labels.contiguous()).clamp_max(len(seen) - 1)
    known = seen[place] == labels
    accuracy = weighed_mean(((logits.argmax(-1) == place) & known).double(), weights)
    index = place.expand(logits.shape[:-1])[..., None]
    loss = -logits.log_softmax(-1).gather(-1, index)[..., 0].double()
    counted = known if weights is None else known * weights
    return accuracy, (loss * counted).sum(-1) / torch.where(known.any(-1), counted.sum(-1), 1)


def best_penalty(accuracy: Tensor, loss: Tensor) -> Tensor:
    """Index of the chosen penalty, [cells, sets]."""
    loss = loss.masked_fill(accuracy < accuracy.amax(0), torch.inf)
    return loss.argmin(0)


def picked(rows: Tensor, best: Tensor) -> Tensor:
    """rows [penalties, cells, sets, …] at the chosen penalty."""
    cells, sets = best.shape
    first = torch.arange(cells, device=best.device)[:, None]
    second = torch.arange(sets, device=best.device)[None]
    return rows[best, first, second]
