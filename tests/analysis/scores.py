"""Scores that SQL views define, computed once more as references for tests.

labels [n] are class indices, predictions [..., n] class indices, logits [..., n, n_classes]
unnormalised log-probabilities; a score is a fraction, one per leading index.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.metrics import Floats, accuracy, label_row, log_loss, log_softmax
from warehouse.errors import LayerhouseError

__all__ = ["accuracy", "auroc", "balanced_accuracy", "chance", "chance_corrected"]
__all__ += ["expected_calibration_error", "log_loss", "macro_f1", "softmax"]


def chance(labels: ArrayLike) -> float:
    """What always naming the largest class scores."""
    return float(np.bincount(label_row(labels)).max() / np.size(labels))


def chance_corrected(score: ArrayLike, chance_level: ArrayLike) -> Floats:
    """(score − chance)/(1 − chance); 0 where chance is already 1."""
    room = 1 - np.asarray(chance_level, dtype=np.float64)
    gain = np.asarray(score, dtype=np.float64) - np.asarray(chance_level)
    return np.divide(gain, room, out=np.zeros(np.broadcast(gain, room).shape), where=room > 0)


def balanced_accuracy(labels: ArrayLike, predictions: ArrayLike) -> Floats:
    """Mean recall over the classes that occur among the labels."""
    hits, true, _ = _counts(label_row(labels), np.asarray(predictions))
    present = true > 0
    return np.asarray((hits[..., present] / true[present]).mean(-1))


def macro_f1(labels: ArrayLike, predictions: ArrayLike) -> Floats:
    """Mean F1 over the classes that occur among the labels or the predictions of a row.

    A class that is never both true and predicted has F1 = 0, as in scikit-learn.
    """
    hits, true, named = _counts(label_row(labels), np.asarray(predictions))
    total = true + named
    f1 = np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)
    return np.asarray(f1.sum(-1) / (total > 0).sum(-1))


def auroc(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """One-vs-rest area under the ROC curve, mean over classes that have both sides.

    The ranks are those of the softmax probabilities; ties count half (Mann–Whitney).
    """
    truth, scores = label_row(labels), softmax(logits)
    areas = []
    for index in np.unique(truth):
        positive = truth == index
        n_positive, n_negative = positive.sum(), (~positive).sum()
        if n_negative == 0:
            raise LayerhouseError("an area under the ROC curve needs labels of two classes")
        ranks = _midranks(scores[..., index])
        above = ranks[..., positive].sum(-1) - n_positive * (n_positive + 1) / 2
        areas.append(above / (n_positive * n_negative))
    return np.asarray(np.mean(areas, axis=0))


def expected_calibration_error(labels: ArrayLike, logits: ArrayLike, bins: int = 15) -> Floats:
    """Mean gap between confidence and accuracy over equal-width confidence bins.

    The gap of a bin weighs as many samples as it holds; a confidence on an edge belongs to the
    bin below (Guo et al. 2017, "On calibration of modern neural networks").
    """
    truth, probability = label_row(labels), softmax(logits)
    confidence = probability.max(-1)
    right = probability.argmax(-1) == truth
    place = np.clip(np.ceil(np.round(confidence * bins, 9)).astype(int) - 1, 0, bins - 1)
    one_hot = place[..., None] == np.arange(bins)
    gaps = (one_hot * (right - confidence)[..., None]).sum(-2)
    return np.asarray(np.abs(gaps).sum(-1) / truth.size)


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities over the last axis."""
    return np.exp(log_softmax(logits))


def _counts(truth: NDArray[np.int64], named: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Per class: hits [..., classes], labels [classes], predictions [..., classes]."""
    n_classes = int(max(truth.max(), named.max())) + 1
    classes = np.arange(n_classes)
    true = truth[:, None] == classes
    predicted = named[..., None] == classes
    hits = (predicted & true).sum(-2)
    return hits.astype(float), true.sum(0).astype(float), predicted.sum(-2).astype(float)


def _midranks(scores: Floats) -> Floats:
    """Ranks from 1 along the last axis, ties sharing their mean rank."""
    order = np.argsort(scores, axis=-1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=-1)
    n = scores.shape[-1]
    position = np.broadcast_to(np.arange(n), scores.shape)
    opens = np.ones(scores.shape, dtype=bool)
    opens[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    closes = np.ones(scores.shape, dtype=bool)
    closes[..., :-1] = opens[..., 1:]
    first = np.maximum.accumulate(np.where(opens, position, 0), axis=-1)
    backwards = np.where(closes, position, n)[..., ::-1]
    last = np.minimum.accumulate(backwards, axis=-1)[..., ::-1]
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return ranks
