"""What of a picture is compared: its coarse pattern, and what it has of its own in a dataset.

The coefficients of a discrete cosine transform, lowest frequencies first, as perceptual hashes take
them. They are kept as numbers: bits would part chest X-rays, which all look alike, by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.audit.pictures import SIDE

LOWEST = 14
"""Frequencies taken along each side."""
SHARED = 8
"""Principal components that count as common to the dataset, fewer where it is small."""
COARSE = 64
"""The lowest frequencies, by which pictures are held against all others."""

Floats = NDArray[np.float32]


def spectrum(small: NDArray[np.uint8] | Floats) -> Floats:
    """Coefficients [n, LOWEST² - 1] of small images [n, SIDE, SIDE], lowest frequencies first.

    Brightness and contrast are taken out, so the scalar product of two rows is the correlation of
    two images without their finest detail.
    """
    frequency, place = np.arange(LOWEST)[:, None], np.arange(SIDE)[None]
    wave = np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE)) * np.sqrt(2 / SIDE)
    wave[0] /= np.sqrt(2)
    wave = wave.astype(np.float32)
    rows, columns = _order()
    found = np.empty((len(small), len(rows)), dtype=np.float32)
    for at in range(0, len(small), 2048):
        part = standardised(small[at : at + 2048])
        found[at : at + 2048] = (wave @ part @ wave.T)[:, rows, columns]
    # what lies at higher frequencies is left out, so the length is made 1 again
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6))


def mirrored(coefficients: Floats) -> Floats:
    """The spectrum of the images turned left to right: odd waves across change their sign."""
    return coefficients * np.where(_order()[1] % 2, -1, 1).astype(np.float32)


def standardised(small: NDArray[np.uint8] | Floats) -> Floats:
    """Images [n, h, w] with mean 0 and length 1; a flat one stays 0."""
    values = small - small.mean((1, 2), keepdims=True, dtype=np.float32)
    length = np.sqrt((values**2).sum((1, 2), keepdims=True))
    return np.asarray(values / np.maximum(length, 1e-6), dtype=np.float32)


def _order() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frequencies (down, across) but the constant one, by their sum."""
    down, across = np.divmod(np.arange(LOWEST**2), LOWEST)
    order = np.lexsort((down, down + across))[1:]
    return down[order], across[order]


@dataclass(frozen=True)
class Common:
    """What the images of a dataset have in common, and how much each coarse frequency varies.

    `mean` [k] and `directions` [k, SHARED or fewer] of their spectra; `spread` [COARSE] is the
    standard deviation of what is left.
    """

    mean: Floats
    directions: Floats
    spread: Floats

    @classmethod
    def of(cls, coefficients: Floats) -> Common:
        """That of spectra [n, k]."""
        mean = coefficients.mean(axis=0)
        apart = coefficients - mean
        n_directions = min(SHARED, len(coefficients) // 8)
        _, directions = np.linalg.eigh(apart.T @ apart)  # weakest first
        first = directions.shape[1] - n_directions
        found = cls(mean, directions[:, first:], np.ones(COARSE, dtype=np.float32))
        spread = found.own(coefficients)[:, :COARSE].std(axis=0)
        return cls(mean, found.directions, np.maximum(spread, 1e-6))

    def own(self, coefficients: Floats) -> Floats:
        """Spectra [n, k] without what is shared, each of length 1."""
        apart = coefficients - self.mean
        apart -= (apart @ self.directions) @ self.directions.T
        return _unit(apart)

    def coarse(self, coefficients: Floats) -> Floats:
        """Of what is own the lowest frequencies [n, COARSE], rare ones weighing more, length 1."""
        return _unit(self.own(coefficients)[:, :COARSE] / np.sqrt(self.spread))


def _unit(rows: NDArray[Any]) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-6), dtype=np.float32)
