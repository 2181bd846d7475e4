"""Which penalty is kept: by what it scores on val."""

import torch
from torch import Tensor


def val_scores(logits: Tensor, labels: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and log loss on val, both [penalties, cells, sets].

    A val sample of a class that train never showed counts as wrong in the accuracy of every
    penalty alike and is left out of the log loss.
    """
    place = torch.searchsorted(seen, labels.contiguous()).clamp_max(len(seen) - 1)
    known = seen[place] == labels
    accuracy = ((logits.argmax(-1) == place) & known).double().mean(-1)
    index = place.expand(logits.shape[:-1])[..., None]
    loss = -logits.log_softmax(-1).gather(-1, index)[..., 0].double()
    return accuracy, (loss * known).sum(-1) / known.sum(-1).clamp_min(1)


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
