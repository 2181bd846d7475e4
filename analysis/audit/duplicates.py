"""Near-duplicates: likely pairs, confirmed by correlation, joined into clusters.

What each image has of its own is held against that of all others at once, a product of matrices,
block by block. Pairs that are much alike there are compared as they are; then each image, whole and
without its rim, is laid over the few others that it is most like, since a copy may have been cut.

Only pairs that join two clusters are kept, so n images give fewer than n pairs whatever the images:
a thousand equal frames of a film, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.audit.alignment import inner, laid_over
from analysis.audit.spectra import Common, Floats, mirrored, spectrum, standardised

ALIKE = 0.95
"""Correlation of two small images from which they may be the same."""
ALIKE_ALONE = 0.88
"""Correlation from which they are: of what each has of its own, without what images of the dataset
have in common: chest X-rays show one anatomy and fundus photographs one black frame, which alone
would make them copies. docs/results.md has how many copies and how many others pass.
"""
FITTED = 0.96
"""The same of two images that were laid over each other, which makes others more alike, too."""
LIKELY, CLOSE = 0.75, 0.6
"""Likeness of coarse patterns from which a pair is compared, and laid over each other."""
CUT = 0.04
"""The share of each side that is left out to find what was cut from an image."""
NEAREST = 2
"""With how many others each image is laid over each other."""
_ROWS, _AT_ONCE = 256, 512

Indexes = NDArray[np.int64]
Pairs = tuple[Indexes, Indexes]


class Link(NamedTuple):
    """Two images of a cluster, by index, and what they share.

    `kind` is `copy` (the same bytes), `near` or `mirrored` (the second turned left to right);
    correlations are None for copies, which are not compared; of images that had to be laid over
    each other they are those that they have then.
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
        links += _Search(small, compared, clusters).found()
    return links, clusters.of


class _Search:
    """Near-duplicates among the images `compared`, told by index, of `small` [n, SIDE, SIDE]."""

    def __init__(self, small: NDArray[np.uint8], compared: Indexes, clusters: _Clusters) -> None:
        self._small, self._compared, self._clusters = small[compared], compared, clusters
        spectra = spectrum(self._small)
        self._common = Common.of(spectra)
        self._own = self._common.own(spectra)
        self._own_turned = self._common.own(mirrored(spectra))
        self._coarse = self._common.coarse(spectra)

    def found(self) -> list[Link]:
        """Links that join clusters, in the order in which they were found."""
        links: list[Link] = []
        for look in (self._as_they_are, self._laid_over):
            for is_turned in (False, True):
                links += look(is_turned)
        return links

    def _as_they_are(self, is_turned: bool) -> Iterator[Link]:
        own = self._own_turned if is_turned else self._own
        for pairs in self._likely(is_turned):
            first, second = pairs
            same = np.einsum("nk,nk->n", own[first], self._own[second])
            at = np.flatnonzero(same >= ALIKE_ALONE)
            first, second = first[at], second[at]
            whole = _correlations(self._shown(first, is_turned), self._small[second])
            yield from self._joined((first, second), is_turned, whole, same[at])

    def _laid_over(self, is_turned: bool) -> Iterator[Link]:
        first, second = self._closest(is_turned)
        for at in range(0, len(first), _AT_ONCE):
            part = self._apart((first[at : at + _AT_ONCE], second[at : at + _AT_ONCE]))
            still = self._small[part[1]]
            laid = laid_over(self._shown(part[0], is_turned), still)
            own = self._common.own(spectrum(laid))
            same = np.einsum("nk,nk->n", own, self._own[part[1]])
            same[same < FITTED] = -1
            yield from self._joined(part, is_turned, _correlations(laid, still), same)

    def _joined(self, pairs: Pairs, is_turned: bool, whole: Floats, own: Floats) -> Iterator[Link]:
        """Links of the pairs that are alike and in different clusters."""
        for i, j, r, s in zip(*(self._compared[side] for side in pairs), whole, own, strict=True):
            if r >= ALIKE and s >= ALIKE_ALONE and self._clusters.join(int(i), int(j)):
                kind = "mirrored" if is_turned else "near"
                yield Link(int(min(i, j)), int(max(i, j)), kind, float(r), float(s))

    def _likely(self, is_turned: bool) -> Iterator[Pairs]:
        """Pairs of images in different clusters whose coarse patterns are much alike."""
        for start, likeness in self._likenesses(self._patterns(is_turned, 0)):
            first, second = np.nonzero(likeness >= LIKELY)
            first += start
            ordered = first < second  # one turned and the other not are the same pair twice
            first, second = first[ordered], second[ordered]
            for at in range(0, len(first), _AT_ONCE):
                yield self._apart((first[at : at + _AT_ONCE], second[at : at + _AT_ONCE]))

    def _closest(self, is_turned: bool) -> Pairs:
        """For each image, whole or cut, the others in other clusters whose patterns are nearest.

        The second of a pair is what a cut first one may be; of whole ones it may be either.
        """
        n, found = len(self._small), []
        for cut in (0, CUT):
            for start, likeness in self._likenesses(self._patterns(is_turned, cut)):
                near = min(NEAREST, n - 1)
                second = np.argpartition(-likeness, near - 1, axis=1)[:, :near]
                first = np.repeat(np.arange(start, start + len(likeness)), near)
                second = second.ravel()
                close = likeness[first - start, second] >= CLOSE
                found.append(first[close] * n + second[close])
                if not cut:
                    found.append(second[close] * n + first[close])
        return np.divmod(np.unique(np.concatenate(found)), n)

    def _patterns(self, is_turned: bool, cut: float) -> Floats:
        if not (is_turned or cut):
            return self._coarse
        spectra = spectrum(inner(self._small, cut) if cut else self._small)
        return self._common.coarse(mirrored(spectra) if is_turned else spectra)

    def _likenesses(self, patterns: Floats) -> Iterator[tuple[int, Floats]]:
        """By rows of `patterns` the likeness of all images [rows, n], -1 within a cluster."""
        group = self._clusters.of
        for start in range(0, len(patterns), _ROWS):
            likeness = patterns[start : start + _ROWS] @ self._coarse.T
            own = group[self._compared[start : start + _ROWS]]
            likeness[own[:, None] == group[self._compared]] = -1
            yield start, likeness

    def _apart(self, pairs: Pairs) -> Pairs:
        group = self._clusters.of[self._compared]
        apart = group[pairs[0]] != group[pairs[1]]
        return pairs[0][apart], pairs[1][apart]

    def _shown(self, images: Indexes, is_turned: bool) -> NDArray[np.uint8]:
        shown = self._small[images]
        return shown[:, :, ::-1] if is_turned else shown


def _correlations(first: NDArray[np.uint8] | Floats, second: NDArray[np.uint8]) -> Floats:
    """Of images [n, h, w] with those of the same index."""
    return np.asarray((standardised(first) * standardised(second)).sum((1, 2)))


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
