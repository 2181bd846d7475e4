"""Scores of classifiers, vectorised over leading axes (probes, seeds, penalties).

Everywhere: labels [n] are class indices, predictions [..., n] class indices, logits
[..., n, n_classes] unnormalised log-probabilities; a score is a fraction, one per leading index.
Where a SQL view defines the same number, a test holds the two equal.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.errors import LayerhouseError

Floats = NDArray[np.float64]


def exceeds(number: ArrayLike, bound: ArrayLike) -> NDArray[np.bool_]:
    """Whether numbers are more than a limit, to nine digits, as the SQL macro of that name."""
    return np.asarray(np.round(np.asarray(number), 9) > np.round(np.asarray(bound), 9))


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> Floats:
    """Share of samples whose predicted class is the true one: labels [n], predictions [..., n]."""
    truth, named = label_row(labels), np.asarray(predictions)
    return np.asarray((named == truth).mean(-1))


def log_loss(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Mean −log probability of the true class in nats: labels [n], logits [..., n, classes]."""
    return np.asarray(-true_logprobs(labels, logits).mean(-1))


def true_logprobs(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Log probability of the true class of every sample, in nats: [..., n]."""
    index = np.broadcast_to(label_row(labels), np.shape(logits)[:-1])[..., None]
    return np.asarray(np.take_along_axis(log_softmax(logits), index, axis=-1)[..., 0])


def log_softmax(logits: ArrayLike) -> Floats:
    """Log-probabilities over the last axis, of the logits' shape, safe for large ones."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def label_row(labels: ArrayLike) -> NDArray[np.int64]:
    """The labels as [n]; LayerhouseError for none, and for any other shape."""
    truth = np.asarray(labels, dtype=np.int64)
    if truth.ndim != 1 or truth.size == 0:
        raise LayerhouseError(f"labels must be a non-empty row, not of shape {truth.shape}")
    return truth
