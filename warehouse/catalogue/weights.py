"""What samples weigh where something is fitted for the score of their dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.vocabulary import ACCURACY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def fitting_weights(score: str, labels: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The weights of samples with these labels [n]: None where all weigh the same, for accuracy.

    For balanced accuracy each class weighs as much as another: n / (classes · samples of its
    class), with mean 1, over the classes that occur (scikit-learn's `class_weight="balanced"`).
    """
    import numpy as np

    if score == ACCURACY:
        return None
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray((len(labels) / (len(counts) * counts))[place])
