"""What a model shows of a dataset, handed from who ran it to who judges it, without a lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse.vocabulary import Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Recording:
    """`vectors` by cell, each float32 (samples, width) in the order of `sample_ids`, and the
    answers' rows.
    """

    sample_ids: Sequence[str]
    vectors: Mapping[Cell, NDArray[np.float32]]
    answers: list[dict[str, Any]]
