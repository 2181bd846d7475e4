"""Units: what came of a range of samples, collected batch by batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from extract.reading.reader import Blocks, Cell, cell_vectors


@dataclass
class UnitBuffer:
    """Collects the readouts and answers of one unit's batches; `cells` says where readouts lie.

    `rejected` says of samples of the unit why they are not in it.
    """

    cells: Mapping[Cell, tuple[int, slice]]
    answers: list[dict[str, Any]] = field(default_factory=list)
    sample_ids: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    _blocks: list[Blocks] = field(default_factory=list)

    def add(
        self, sample_ids: Sequence[str], blocks: Blocks, answers: Sequence[dict[str, Any]]
    ) -> None:
        self.sample_ids.extend(sample_ids)
        self._blocks.append(blocks)
        self.answers.extend(answers)

    def vectors(self) -> dict[Cell, np.ndarray[Any, np.dtype[np.float32]]]:
        """All vectors of the unit by cell, (samples, width), ordered by sample id."""
        order = np.argsort(np.array(self.sample_ids, dtype=object))
        whole = {
            width: np.concatenate([blocks[width] for blocks in self._blocks])[order]
            for width in {width for width, _ in self.cells.values()}
        }
        return cell_vectors(whole, self.cells)
