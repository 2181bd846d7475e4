"""What samples weigh, so that a probe is fitted and chosen for the score of its dataset."""

import numpy as np
import torch
from torch import Tensor

from warehouse.catalogue import fitting_weights


def weights_for(score: str, labels: Tensor) -> Tensor | None:
    """The weights of labels [..., n], those of each row as `fitting_weights` has them: None where
    all weigh the same.
    """
    rows = labels.reshape(-1, labels.shape[-1]).cpu().numpy()
    weights = [one for row in rows if (one := fitting_weights(score, row)) is not None]
    if not weights:
        return None
    return torch.from_numpy(np.stack(weights)).float().to(labels.device).view(labels.shape)


def weighed_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over the last axis; `weights` are broadcast against the values."""
    if weights is None:
        return values.mean(-1)
    return (values * weights).sum(-1) / weights.sum(-1)
