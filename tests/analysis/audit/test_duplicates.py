"""Planted copies are found, pictures that are merely alike are not, and work stays bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from analysis.audit import duplicates
from analysis.audit.alignment import inner, laid_over
from analysis.audit.duplicates import NEAREST, find_duplicates
from analysis.audit.spectra import mirrored, spectrum
from tests.analysis.audit.pictures import COPIES, alike

NONE = np.array([], dtype=np.int64)


def _small(images: Sequence[Image.Image]) -> NDArray[np.uint8]:
    box = Image.Resampling.BOX
    return np.stack([np.asarray(image.convert("L").resize((32, 32), box)) for image in images])


def _clusters(small: NDArray[np.uint8], hashes: Sequence[str] | None = None) -> NDArray[np.int64]:
    names = hashes or [str(index) for index in range(len(small))]
    return find_duplicates(small, names, np.zeros(len(small), dtype=bool), NONE)[1]


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return alike(300)


def test_pictures_that_are_merely_alike_are_no_copies(images: list[Image.Image]) -> None:
    """45,000 pairs that correlate by 0.8 on average, of which none is a copy."""
    small = _small(images)
    flat = small.reshape(len(small), -1).astype(float)
    assert np.corrcoef(flat).mean() > 0.75
    assert len(np.unique(_clusters(small))) == len(small)


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_found(change: str, images: list[Image.Image]) -> None:
    small = _small([*images, *(COPIES[change](image) for image in images[:60])])
    clusters = _clusters(small)
    assert (clusters[:60] == clusters[300:]).mean() >= 0.95
    assert len(np.unique(clusters)) >= 300  # and nothing else


def test_a_mirrored_copy_is_said_to_be_one(images: list[Image.Image]) -> None:
    small = _small([*images[:20], COPIES["mirrored"](images[3])])
    links, _ = find_duplicates(small, list("abcdefghijklmnopqrstu"), np.zeros(21, dtype=bool), NONE)
    assert [(link.first, link.second, link.kind) for link in links] == [(3, 20, "mirrored")]


def test_a_picture_turned_on_its_head_is_another(images: list[Image.Image]) -> None:
    turned = images[3].transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert len(np.unique(_clusters(_small([*images[:20], turned])))) == 21


def test_the_spectrum_of_a_mirrored_picture_is_known_without_it(images: list[Image.Image]) -> None:
    small = _small(images[:5])
    np.testing.assert_allclose(mirrored(spectrum(small)), spectrum(small[:, :, ::-1]), atol=1e-5)


def test_copies_of_one_file_are_joined_whatever_their_size(images: list[Image.Image]) -> None:
    small = _small(images[:4])
    names = ["x", "y", "x", "x"]
    links, clusters = find_duplicates(small, names, np.zeros(4, dtype=bool), np.arange(4))
    assert [(link.first, link.second, link.kind) for link in links] == [
        (0, 2, "copy"),
        (0, 3, "copy"),
    ]
    assert clusters[0] == clusters[2] == clusters[3] != clusters[1]


def test_what_is_left_out_is_in_no_pair() -> None:
    small = np.zeros((3, 32, 32), dtype=np.uint8)
    links, _ = find_duplicates(small, ["x", "x", "x"], np.ones(3, dtype=bool), NONE)
    assert links == []


def test_frames_of_films_are_clusters_and_few_are_held_against_each_other(
    images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst case is many in the same cluster: 40 films of 25 frames."""
    compared = 0
    truly = duplicates._correlations

    def counted(first, second):  # type: ignore[no-untyped-def]
        nonlocal compared
        compared += len(first)
        return truly(first, second)

    monkeypatch.setattr(duplicates, "_correlations", counted)
    films, length = 40, 25
    n = films * length
    scenes = _small(images[:films]).repeat(length, axis=0)
    noise = np.random.default_rng(0).normal(0, 2, scenes.shape)
    frames = (scenes + noise).clip(0, 255).astype(np.uint8)
    links, clusters = find_duplicates(
        frames, [str(i) for i in range(n)], np.zeros(n, dtype=bool), NONE
    )
    assert (clusters.reshape(films, length) == clusters[::length, None]).mean() > 0.95
    assert len(np.unique(clusters)) >= films
    assert len(links) == n - len(np.unique(clusters))
    assert compared < 10 * n


def test_copies_far_apart_in_a_large_dataset_are_found() -> None:
    """The second half of 1,000 images are copies of the first, in the same order."""
    first = np.stack([np.asarray(image.convert("L")) for image in alike(500, side=32)])
    noise = np.random.default_rng(0).normal(0, 3, first.shape)
    clusters = _clusters(np.concatenate([first, (first + noise).clip(0, 255).astype(np.uint8)]))
    assert (clusters[:500] == clusters[500:]).mean() >= 0.99
    assert len(np.unique(clusters)) >= 500


FRAME = np.ones((32, 32), dtype=bool)
FRAME[2:-2, 2:-2] = False
DOWN, ACROSS = np.mgrid[0:32, 0:32]
ROUND = np.hypot(DOWN - 15.5, ACROSS - 15.5) > 14.5


@pytest.mark.parametrize("mask", [FRAME, ROUND], ids=["white frame", "black around a circle"])
@pytest.mark.parametrize("every", [1, 2], ids=["all", "half of the images"])
def test_what_frames_have_in_common_makes_no_copies(
    mask: NDArray[np.bool_], every: int, images: list[Image.Image]
) -> None:
    """Fundus photographs, web pages, pistachios on black: the frame outweighs what is in it."""
    small = _small([*images, *images[:30]])
    small[::every] = np.where(mask, 255 if mask is FRAME else 0, small[::every])
    whole = small[:300:every].reshape(-1, 1024).astype(float)
    assert np.mean(np.corrcoef(whole) > duplicates.ALIKE) > 0.01
    clusters = _clusters(small)
    assert (clusters[:30] == clusters[300:]).mean() >= 0.95
    assert len(np.unique(clusters)) >= 298


def test_each_picture_is_laid_over_few_others(
    images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if all were so alike that each might be held against all."""
    laid = 0

    def counted(moved, still):  # type: ignore[no-untyped-def]
        nonlocal laid
        laid += len(moved)
        return laid_over(moved, still)

    monkeypatch.setattr(duplicates, "laid_over", counted)
    monkeypatch.setattr(duplicates, "CLOSE", -1.0)
    small = _small(images[:150])
    assert len(np.unique(_clusters(small))) == len(small)
    assert 0 < laid <= 2 * 3 * NEAREST * len(small)


def test_a_cut_picture_fits_over_its_whole_one(images: list[Image.Image]) -> None:
    """And one that fits from the start stays where it is."""
    whole = _small(images[:40])
    cut = _small([COPIES["cut by 5%"](image) for image in images[:40]])

    def alike_now(first, second) -> float:  # type: ignore[no-untyped-def]
        return float(duplicates._correlations(first, second).min())

    assert alike_now(whole, cut) < 0.985
    assert alike_now(inner(whole, 0.05), cut) > 0.995
    assert alike_now(laid_over(whole, cut), cut) > 0.995
    np.testing.assert_allclose(laid_over(whole, whole), whole, atol=0.5)
