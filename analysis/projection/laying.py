"""Vectors laid out on a plane: by their principal components, or by t-SNE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.projection.methods import METHODS, PCA, TSNE
from warehouse.errors import LayerhouseError, UsageError, nearest

MOST = 5_000
"""Samples that are laid out; of more they are drawn."""
SEED = 0
PERPLEXITY = 30.0
"""Of t-SNE (van der Maaten & Hinton 2008), where there are samples enough for it."""
FIRST = 50
"""Principal components that t-SNE is given: distances in more dimensions are mostly noise."""
CONSTANT = 1e-6
"""A feature that differs by less than this share of its size is constant but for rounding."""


@dataclass(frozen=True)
class Layout:
    """Where samples stand. `rows` [n]: their places among those that were given, in order; `places`
    [n, 2]. `explained`: shares of the variance along both axes, of PCA alone; `perplexity` of t-SNE
    alone. `n_unfit` were left out because their vectors hold NaN or infinities, and of the
    `n_given` others those in `rows` were drawn.
    """

    method: str
    rows: NDArray[np.intp]
    places: NDArray[np.float64]
    n_given: int
    n_unfit: int
    explained: tuple[float, float] | None = None
    perplexity: float | None = None

    @property
    def is_drawn(self) -> bool:
        return len(self.rows) < self.n_given


def lay_out(
    vectors: NDArray[np.floating[Any]], method: str = PCA, *, most: int = MOST, seed: int = SEED
) -> Layout:
    """Lay vectors [n, width] out on a plane; the same vectors give the same places.

    Every feature is first scaled to the same variance, as before a linear probe, since a few
    features that are a hundred times the others would be all that is seen; constant ones are left
    away. Of more than `most` vectors that many are drawn at random. Raises UsageError for an
    unknown method, LayerhouseError where there is nothing to lay out.
    """
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}{nearest(method, METHODS)}")
    usable = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    n_unfit = len(vectors) - len(usable)
    rows = usable
    if len(usable) > most:
        drawn = np.random.default_rng(seed).choice(len(usable), most, replace=False)
        rows = usable[np.sort(drawn)]
    fewest = 2 if method == PCA else 4
    if len(rows) < fewest:
        way = "; --method pca takes two" if method == TSNE and len(rows) > 1 else ""
        raise LayerhouseError(
            f"{'t-SNE' if method == TSNE else 'a plane'} takes at least {fewest} samples with "
            f"vectors, and here {'is' if len(rows) == 1 else 'are'} {len(rows)}{way}"
        )
    scaled = _scaled(np.asarray(vectors[rows], dtype=np.float64))
    components, explained = _components(scaled)
    if method == PCA:
        shares = (float(explained[0]), float(explained[1]))
        return Layout(method, rows, components[:, :2], len(usable), n_unfit, explained=shares)
    places, perplexity = _tsne(components, seed)
    return Layout(method, rows, places, len(usable), n_unfit, perplexity=perplexity)


def _scaled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Features of mean 0 and variance 1; without those that are constant."""
    spread = vectors.std(axis=0)
    varies = spread > CONSTANT * np.abs(vectors).max(axis=0)
    if not varies.any():
        raise LayerhouseError(
            f"all {len(vectors):,} vectors are the same here, so there is nothing to lay out"
        )
    kept = vectors[:, varies]
    return (kept - kept.mean(axis=0)) / spread[varies]


def _components(
    scaled: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components [n, at least 2] and their shares of the variance; of a line the second
    is 0 throughout."""
    from sklearn import decomposition

    n_components = min(FIRST, *scaled.shape)
    fitted = decomposition.PCA(n_components, svd_solver="full")
    found = fitted.fit_transform(scaled)
    shares = fitted.explained_variance_ratio_
    if n_components < 2:
        found = np.column_stack([found, np.zeros(len(found))])
        shares = np.append(shares, 0.0)
    return found, shares


def _tsne(components: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], float]:
    """Places, and the perplexity: a third of the samples there are at most, and below their
    number, where it means nothing (van der Maaten)."""
    from sklearn import manifold
    from threadpoolctl import threadpool_limits

    perplexity = max(1.0, min(PERPLEXITY, (len(components) - 1) / 3))
    # From the plane of PCA, small: the same start every time, and clusters near their kin.
    start = 1e-4 * components[:, :2] / components[:, 0].std()
    fitted = manifold.TSNE(
        perplexity=perplexity, init=start.astype(np.float32), random_state=seed, n_jobs=1
    )
    # Its threads wait for each other spinning: on busy cores two took nine times as long as one.
    with threadpool_limits(1):
        return np.asarray(fitted.fit_transform(components), dtype=np.float64), perplexity
