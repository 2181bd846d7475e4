"""Near-duplicates: pairs from shared buckets, confirmed by correlation, joined into clusters.

Only pairs that join two clusters are kept, so n images give fewer than n pairs whatever the images:
a thousand equal frames of a film, too. A bucket's images are held against the next `WINDOW` of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.audit.hashing import bucket_codes, mirrored, spectrum, standardised

ALIKE = 0.95
"""Correlation of two small images from which they may be the same."""
OWN = 0.85
"""Correlation from which they are: of what each has of its own, without what images of the dataset
have in common: chest X-rays show one anatomy and fundus photographs one black frame, which alone
would make them copies. docs/results.md has how many copies and how many others pass.
"""
SHARED = 8
"""Principal components that count as common to the dataset, fewer where it is small."""
WINDOW = 32
_AT_ONCE = 8192

Indexes = NDArray[np.int64]


class Link(NamedTuple):
    """Two images of a cluster, by index, and what they share.

    `kind` is `copy` (the same bytes), `near` or `mirrored` (the second turned left to right);
    correlations are None for copies, which are not compared.
    """

    first: int
    second: int
    kind: str
    correlation: float | None = None
    own_correlation: float | None = None


def find_duplicates(
    small: NDArray[np.uint8], hashes: Sequence[str], left_out: NDArray[np.bool_], too_small: Indexes
) -> tuple[list[Link], Indexes]:
    """Pairs that join images into clusters of near-duplicates, fewer than there are images.

    Beside them the cluster of each image [n], named by the index of one of its members.

    small: [n, SIDE, SIDE]; hashes of the stored bytes; `left_out` [n] are in no pair (blank ones);
    of `too_small`, indexes, only exact copies are found.
    """
    clusters = _Clusters(len(small))
    links = []
    first_of: dict[str, int] = {}
    for index, name in enumerate(hashes):
        if left_out[index]:
            continue
        first = first_of.setdefault(name, index)
        if first != index:
            clusters.join(first, index)
            links.append(Link(first, index, "copy"))
    compared = np.setdiff1d(np.fromiter(first_of.values(), dtype=np.int64), too_small)
    if len(compared) > 1:
        links += _near(small, compared, clusters)
    return links, clusters.of


def _near(small: NDArray[np.uint8], compared: Indexes, clusters: _Clusters) -> list[Link]:
    coefficients = spectrum(small[compared])
    turned = mirrored(coefficients)
    shared = _shared(coefficients)
    own, own_turned = _own(coefficients, shared), _own(turned, shared)
    links = []
    for first, second, flipped in _candidates(
        (coefficients, turned), np.concatenate([own, own_turned]), clusters, compared
    ):
        other = np.where(flipped[:, None], own_turned[second], own[second])
        same = np.einsum("nk,nk->n", own[first], other)
        at = np.flatnonzero(same >= OWN)
        pairs = compared[first[at]], compared[second[at]]
        whole = _correlations(small, *pairs, flipped[at])
        for i, j, flip, r, s in zip(*pairs, flipped[at], whole, same[at], strict=True):
            if r >= ALIKE and clusters.join(int(i), int(j)):
                kind = "mirrored" if flip else "near"
                links.append(Link(int(min(i, j)), int(max(i, j)), kind, float(r), float(s)))
    return links


def _shared(coefficients: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What spectra [n, k] have in common: their mean [k], and directions [k, SHARED or fewer]."""
    mean = coefficients.mean(axis=0)
    apart = coefficients - mean
    n_directions = min(SHARED, len(coefficients) // 8)
    _, directions = np.linalg.eigh(apart.T @ apart)  # weakest first
    return mean, directions[:, directions.shape[1] - n_directions :]


def _own(
    coefficients: NDArray[np.float32], shared: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Spectra [n, k] without what is shared, each of length 1."""
    mean, directions = shared
    apart = coefficients - mean
    apart -= (apart @ directions) @ directions.T
    return np.asarray(apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6))


def _candidates(
    spectra: tuple[NDArray[np.float32], NDArray[np.float32]],
    own: NDArray[np.float32],
    clusters: _Clusters,
    compared: Indexes,
) -> Iterator[tuple[Indexes, Indexes, NDArray[np.bool_]]]:
    """Pairs that share a bucket and are in different clusters, a bounded number at a time.

    `spectra` are those of the images and of the images turned left to right, `own` what each of
    both has of its own, one below the other. Pairs are rows of the first; where `flipped` the
    second is meant turned. A large bucket is sorted by one number of `own`, another in each band,
    so that copies stand close to each other.
    """
    n = len(spectra[0])
    bands = zip(*(bucket_codes(spectrum, spectra[0]) for spectrum in spectra), strict=True)
    for band, (plain, mirror) in enumerate(bands):
        codes = np.concatenate([plain, mirror]).ravel()
        owner = np.repeat(np.arange(2 * n), plain.shape[1])  # n and above are turned
        order = np.lexsort((own[owner, band], codes))
        codes, owner = codes[order], owner[order]
        for step in range(1, WINDOW + 1):
            at = np.flatnonzero(codes[step:] == codes[:-step])
            if not len(at):
                break
            a, b = owner[at], owner[at + step]
            a, b = np.minimum(a, b), np.maximum(a, b)
            pair = np.unique((a * 2 * n + b)[a < n])  # two turned ones are two plain ones
            a, b = np.divmod(pair, 2 * n)
            for part in range(0, len(a), _AT_ONCE):
                first, second = a[part : part + _AT_ONCE], b[part : part + _AT_ONCE]
                group = clusters.of[compared]
                apart = group[first] != group[second % n]
                yield first[apart], second[apart] % n, second[apart] >= n


def _correlations(
    small: NDArray[np.uint8], first: Indexes, second: Indexes, flipped: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Of pairs of images [n], the second turned left to right where `flipped`."""
    other = np.where(flipped[:, None, None], small[second][:, :, ::-1], small[second])
    return np.asarray((standardised(small[first]) * standardised(other)).sum((1, 2)))


class _Clusters:
    """Which cluster each of n images is in: [n] `of`, the smaller cluster renamed at each join."""

    def __init__(self, n: int) -> None:
        self.of = np.arange(n)
        self._members: dict[int, list[int]] = {}

    def join(self, first: int, second: int) -> bool:
        """Make one cluster of two; False where they are one already."""
        kept, gone = int(self.of[first]), int(self.of[second])
        if kept == gone:
            return False
        mine, others = (self._members.pop(name, [name]) for name in (kept, gone))
        if len(mine) < len(others):
            kept, mine, others = gone, others, mine
        self.of[others] = kept
        mine.extend(others)
        self._members[kept] = mine
        return True
