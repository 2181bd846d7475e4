"""Sample rows: which rows of an activation belong to which sample, and where in its image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class SampleRows:
    """One sample's rows of a flattened activation.

    `image` holds the rows of its image tokens in reading order; `cells` tells for each of them its
    (row, column) in a grid of `shape` (height, width), or is None where tokens have no place in the
    image. `every` holds all rows that carry something of the sample; `cls`, `last` and, where the
    model runs its own reply, `reply` are single rows.
    """

    image: Array
    every: Array
    cells: Array | None = None
    shape: tuple[int, int] = (0, 0)
    cls: int | None = None
    last: int | None = None
    reply: int | None = None


@dataclass(frozen=True)
class TokenMap:
    """The rows of every sample of a batch in an activation flattened to (rows, width)."""

    n_rows: int
    samples: tuple[SampleRows, ...]


def raster(grid: tuple[int, int]) -> Array:
    """(row, column) of a grid's cells in reading order: (height × width, 2)."""
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    return np.stack([rows, columns], axis=1)


def extent(cells: Array) -> tuple[int, int]:
    """Height and width of the smallest grid that holds these cells."""
    height, width = cells.max(axis=0) + 1
    return int(height), int(width)
