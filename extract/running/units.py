"""Units: what came of a range of samples, collected batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from extract.reading.vectors import CellVectors, joined


@dataclass
class UnitBuffer:
    """Collects the vectors and answers of one unit's batches.

    `rejected` says of samples of the unit why they are not in it.
    """

    answers: list[dict[str, Any]] = field(default_factory=list)
    sample_ids: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    _parts: list[CellVectors] = field(default_factory=list)

    def add(
        self, sample_ids: Sequence[str], vectors: CellVectors, answers: Sequence[dict[str, Any]]
    ) -> None:
        self.sample_ids.extend(sample_ids)
        self._parts.append(vectors)
        self.answers.extend(answers)

    def vectors(self) -> CellVectors:
        """All vectors of the unit, ordered by sample id."""
        return joined(self._parts, np.argsort(np.array(self.sample_ids, dtype=object)))
