"""Lays one small picture over another: a copy that was cut, shifted or turned a little fits then.

Gauss-Newton on the six numbers of an affine map, with the slopes of the picture that stays (Baker
and Matthews, Lucas-Kanade 20 Years On, 2004: inverse compositional).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.audit.pictures import SIDE
from analysis.audit.spectra import Floats, standardised

STEPS = 6
MOST = 0.15
"""The largest change of a number of the map: places go from -1 to 1, so it cuts by 8% or so."""
_STEP = 0.08
_AT_ONCE = 512


def inner(small: NDArray[np.uint8], cut: float) -> Floats:
    """Images [n, SIDE, SIDE] without the share `cut` of each side, as large again."""
    kept = np.eye(3, dtype=np.float32)[:2] * np.float32(1 - 2 * cut)
    return _by_parts(lambda part: _sampled(part, np.tile(kept, (len(part), 1, 1)))[0], small)


def laid_over(moved: NDArray[np.uint8], still: NDArray[np.uint8]) -> Floats:
    """`moved` [n, SIDE, SIDE] as each fits best over its `still`.

    What would come from outside of `moved` is taken from `still`.
    """
    return _by_parts(_fitted, moved, still)


def _by_parts(make: Callable[..., Floats], *images: NDArray[np.uint8]) -> Floats:
    """What is made [n, SIDE, SIDE] of images, a bounded number at a time."""
    made = np.empty(images[0].shape, dtype=np.float32)
    for at in range(0, len(made), _AT_ONCE):
        parts = (each[at : at + _AT_ONCE].astype(np.float32) for each in images)
        made[at : at + _AT_ONCE] = make(*parts).reshape(-1, SIDE, SIDE)
    return made


def _fitted(moved: Floats, still: Floats) -> Floats:
    target = standardised(still).reshape(len(still), -1)
    slopes, solved = _slopes(target)
    maps = np.tile(np.eye(3, dtype=np.float32), (len(moved), 1, 1))
    for _ in range(STEPS):
        seen, is_inside = _sampled(moved, maps[:, :2])
        gap = standardised(seen.reshape(moved.shape)).reshape(target.shape) - target
        gap[~is_inside] = 0
        steps = np.tile(np.eye(3, dtype=np.float32), (len(moved), 1, 1))
        change = (solved @ (slopes @ gap[:, :, None]))[:, :, 0]
        steps[:, :2] += change.clip(-_STEP, _STEP).reshape(-1, 2, 3)
        maps = maps @ np.linalg.inv(steps)
        maps = np.eye(3, dtype=np.float32) + (maps - np.eye(3, dtype=np.float32)).clip(-MOST, MOST)
    seen, is_inside = _sampled(moved, maps[:, :2])
    return np.where(is_inside, seen, still.reshape(target.shape))


def _slopes(target: Floats) -> tuple[Floats, Floats]:
    """How images [n, SIDE²] change with each number of a map [n, 6, SIDE²], and the inverse of its
    square [n, 6, 6]; changes of brightness and contrast are taken out.
    """
    gradients: Any = np.gradient(target.reshape(-1, SIDE, SIDE), 2 / SIDE, axis=(1, 2))
    down, across = gradients
    slopes = np.concatenate(
        [side.reshape(len(target), 1, -1) * _places() for side in (across, down)], axis=1
    )
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= (slopes @ target[:, :, None]) * target[:, None]
    square = slopes @ slopes.transpose(0, 2, 1)
    weight = np.trace(square, axis1=1, axis2=2)[:, None, None] / 6
    return slopes, np.linalg.inv(square + (1e-3 * weight + 1e-9) * np.eye(6, dtype=np.float32))


@cache
def _places() -> Floats:
    """Across, down and 1 of every pixel [3, SIDE²], places from -1 to 1."""
    line = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1
    down, across = np.meshgrid(line, line, indexing="ij")
    return np.stack([across.ravel(), down.ravel(), np.ones(SIDE * SIDE, dtype=np.float32)])


def _sampled(images: Floats, maps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Images [n, SIDE, SIDE] at the places to which maps [n, 2, 3] send each pixel: [n, SIDE²].

    Between pixels as straight lines go; beside them whether a place lies inside.
    """
    at: Any = (maps @ _places() + 1) * (SIDE / 2) - 0.5
    is_inside = ((at >= -0.5) & (at <= SIDE - 0.5)).all(axis=1)
    at = at.clip(0, SIDE - 1.001)
    whole = at.astype(np.int32)
    across, down = (at - whole).transpose(1, 0, 2)
    first = np.arange(len(images), dtype=np.int32)[:, None] * SIDE * SIDE
    first = first + whole[:, 1] * SIDE + whole[:, 0]
    flat = images.ravel()
    upper = flat[first] + (flat[first + 1] - flat[first]) * across
    below = first + SIDE
    lower = flat[below] + (flat[below + 1] - flat[below]) * across
    return upper + (lower - upper) * down, is_inside
