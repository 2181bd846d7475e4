"""A perceptual hash: images that look alike share buckets, and few others do.

The coefficients of a discrete cosine transform, lowest frequencies first, are held against the
median of the same coefficient over the dataset: above or below is one bit. With a median of the
image's own (as pHash has it) chest X-rays would nearly all be given the same bits, since they all
look alike; so each bit parts the dataset in halves. Bits are cut into bands. Two images are
candidates where all bits of one band agree, or would if the least certain ones were turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.audit.pictures import SIDE

BANDS = 8
TURNED = 3
"""Bits of a band whose coefficients lie nearest to the median: each may be either."""
LOWEST = 14
"""Frequencies taken along each side."""

Floats = NDArray[np.float32]


def spectrum(small: NDArray[np.uint8]) -> Floats:
    """Coefficients [n, LOWEST² - 1] of small images [n, SIDE, SIDE], lowest frequencies first.

    Brightness and contrast are taken out, so the scalar product of two rows is the correlation of
    two images without their finest detail.
    """
    frequency, place = np.arange(LOWEST)[:, None], np.arange(SIDE)[None]
    wave = np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE)) * np.sqrt(2 / SIDE)
    wave[0] /= np.sqrt(2)
    rows, columns = _order()
    parts = [
        np.einsum("ai,nij,bj->nab", wave, standardised(part), wave, optimize=True)[:, rows, columns]
        for part in np.array_split(small, len(small) // 2048 + 1)
    ]
    found = np.concatenate(parts).astype(np.float32)
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


def bucket_codes(coefficients: Floats, reference: Floats) -> Iterator[NDArray[np.int64]]:
    """For each band the buckets [n, 2^TURNED] of each image, the first by its own bits.

    `reference` is the spectrum whose medians part the bits. The more images there are, the more
    bits a band has, so that a bucket holds few images however many there are.
    """
    bits = int(np.clip(np.ceil(np.log2(len(reference) + 1)) + 5, 12, 24))
    middle, width = np.median(reference, axis=0), reference.std(axis=0) + 1e-9
    used = coefficients[:, : bits * BANDS]
    score = ((used - middle[: used.shape[1]]) / width[: used.shape[1]]).astype(np.float32)
    for band in range(BANDS):
        own = score[:, band::BANDS]  # each band has low and high frequencies
        weights = 1 << np.arange(own.shape[1], dtype=np.int64)
        code = (own > 0) @ weights
        weak = weights[np.argsort(np.abs(own), axis=1)[:, :TURNED]]
        turns = [
            weak[:, list(chosen)].sum(axis=1)  # different bits: their sum is their union
            for size in range(TURNED + 1)
            for chosen in combinations(range(TURNED), size)
        ]
        yield np.stack([code ^ turn for turn in turns], axis=1)
