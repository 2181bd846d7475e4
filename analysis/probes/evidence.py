"""What an attentive probe reads where: its numbers as they are stored, and what each token says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class AttentiveReader:
    """A fitted attentive probe on raw tokens, over the classes that train shows.

    Training it anew takes minutes and need not end in the same probe on another device, unlike a
    linear probe, so its numbers stay with it: queries and values [classes, width], intercepts
    [classes].
    """

    classes: NDArray[np.int64]
    queries: Numbers
    values: Numbers
    intercepts: Numbers

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "AttentiveReader":
        """What `as_json` gave; ValueError, TypeError or KeyError for what it never gives."""
        names = ("queries", "values", "intercepts")
        queries, values, intercepts = (np.array(stored[name], np.float64) for name in names)
        classes = np.array(stored["classes"], dtype=np.int64)
        if queries.shape != values.shape or len(queries) != len(classes) or len(classes) < 2:
            raise ValueError("queries and values are not of the same classes and width")
        if intercepts.shape != classes.shape:
            raise ValueError("there is not one intercept per class")
        return cls(classes, queries, values, intercepts)

    def as_json(self) -> dict[str, Any]:
        """Lists of numbers, as exact as the float32 they were."""
        names = ("queries", "values", "intercepts")
        lists = {name: _rounded(getattr(self, name).tolist()) for name in names}
        return {"classes": self.classes.tolist(), **lists}

    def shares(self, tokens: NDArray[np.float32]) -> Numbers:
        """What each token adds to each logit, [tokens, classes]: its weight in the class' average
        times its own logit. A column's sum is the logit that the probe gives the image.
        """
        raw = tokens.astype(np.float64)
        scores = raw @ self.queries.T
        weights = np.exp(scores - scores.max(axis=0))
        weights /= weights.sum(axis=0)
        return np.asarray(weights * (raw @ self.values.T + self.intercepts))

    def evidence(self, tokens: NDArray[np.float32], class_index: int) -> Numbers | None:
        """What each token says for a class, [tokens]: its share of the class' logit less its mean
        share of the others'. Logits say nothing but by their differences, and a token may speak
        for one class by speaking against all others. None for a class that train never showed.
        """
        own = self.classes == class_index
        if not own.any():
            return None
        shares = self.shares(tokens)
        return np.asarray(shares[:, own][:, 0] - shares[:, ~own].mean(axis=1))

    def named(self, tokens: NDArray[np.float32]) -> int:
        """The class that the probe names."""
        return int(self.classes[self.shares(tokens).sum(axis=0).argmax()])


def _rounded(numbers: Any) -> Any:
    if isinstance(numbers, list):
        return [_rounded(one) for one in numbers]
    return float(f"{numbers:.7g}")
