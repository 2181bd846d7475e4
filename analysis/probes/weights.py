"""What samples weigh, so that a probe is fitted and chosen for the score of its dataset."""

import torch
from torch import Tensor

from warehouse.vocabulary import ACCURACY


def weights_for(score: str, labels: Tensor) -> Tensor | None:
    """The weights of labels [..., n] in each row: None where all weigh the same, for accuracy.

    For balanced accuracy each class weighs as much as another: n / (classes · samples of its
    class), with mean 1, over the classes of that row (scikit-learn's `class_weight="balanced"`).
    """
    if score == ACCURACY:
        return None
    rows = labels.reshape(-1, labels.shape[-1])
    weights = torch.empty(rows.shape, dtype=torch.float32, device=labels.device)
    for weight, row in zip(weights, rows, strict=True):
        _, place, counts = row.unique(return_inverse=True, return_counts=True)
        weight.copy_((len(row) / (len(counts) * counts))[place])
    return weights.view(labels.shape)


def weighed_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over the last axis; `weights` are broadcast against the values."""
    if weights is None:
        return values.mean(-1)
    return (values * weights).sum(-1) / weights.sum(-1)
