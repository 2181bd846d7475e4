"""Rotations of folds that are solved together are the fits that each of them is alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.probes import rotations
from analysis.probes.kinds.linear import LinearProbe
from analysis.probes.logistic.solver import Stop
from analysis.probes.probe_kind import Fits, FoldFit, ProbeKind
from analysis.probes.rotations import pays
from tests.analysis.activation_lake import drawn
from warehouse.catalogue.folds import make_folds, rotate
from warehouse.vocabulary import ACCURACY, BALANCED_ACCURACY

EXACT = LinearProbe(stop=Stop(1e-7, 1e-5, 3000), dtype=torch.float64)
N, WIDTH, K = 300, 256, 3


def folds_of(classes: np.ndarray, repetitions: int = 2, score: str = ACCURACY) -> list[FoldFit]:
    """True and shuffled labels in every rotation of some repetitions."""
    names = [str(row // 2) for row in range(len(classes))]
    found = []
    for own in range(repetitions):
        shuffled = np.random.default_rng(own).permutation(classes)
        labels = torch.from_numpy(np.stack([classes, shuffled]))
        dealt = make_folds(classes, names, K, "set", own)
        found += [FoldFit(rotation, labels, (own, own), score) for rotation in rotate(dealt, K)]
    return found


def uncommon(vectors: np.ndarray) -> np.ndarray:
    """Vectors with what makes standardising by fold another thing than by all samples."""
    vectors[:, 0] = 256 + 1e-6 * vectors[:, 0]  # constant but for rounding
    vectors[:, 1] = 0
    vectors[7, 1] = 3  # constant in most rotations
    vectors[5] *= 40  # an outlier in everything
    vectors[:, 2:9] += 300
    vectors[11, 2] = -1e5  # and one in one feature
    return vectors


def alike(some: list[Fits], others: list[Fits]) -> None:
    for one, other in zip(some, others, strict=True):
        for cells in zip(one.chosen, other.chosen, strict=True):
            for said, meant in zip(*cells, strict=True):
                assert said["C"] == meant["C"]
                assert said["val_accuracy"] == pytest.approx(meant["val_accuracy"])
                assert said["converged"] == meant["converged"] is True
        for name in ("val_logits", "test_logits"):
            mine, theirs = (
                torch.from_numpy(getattr(fits, name)).double().softmax(-1) for fits in (one, other)
            )
            torch.testing.assert_close(mine, theirs, atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("n_classes", "score"),
    [
        (2, BALANCED_ACCURACY),
        pytest.param(2, ACCURACY, marks=pytest.mark.slow),
        pytest.param(4, ACCURACY, marks=pytest.mark.slow),
        pytest.param(4, BALANCED_ACCURACY, marks=pytest.mark.slow),
    ],
)
def test_rotations_together_are_what_each_is_alone(
    n_classes: int, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = np.minimum(np.arange(N) % (n_classes + 2), n_classes - 1)
    classes = np.random.default_rng(3).permutation(uneven)
    vectors = [uncommon(drawn(classes, WIDTH, seed, 0.1)) for seed in range(2)]
    features = torch.from_numpy(np.stack(vectors))
    folds = folds_of(classes, 1, score)
    assert pays(features, folds)
    together = EXACT.fit_folds(features.clone(), folds, n_classes)
    alone = ProbeKind.fit_folds(EXACT, features, folds, n_classes)
    alike(list(together), list(alone))
    # A few rotations and one cell at a time, as where the memory holds no more.
    monkeypatch.setattr(rotations, "MOST_NUMBERS", 2 * 2 * n_classes * WIDTH)
    alike(list(EXACT.fit_folds(features.clone(), folds, n_classes)), list(together))


def test_what_rotations_do_not_share_is_fitted_alone() -> None:
    classes = np.random.default_rng(3).permutation(np.arange(N) % 2)
    features = torch.from_numpy(drawn(classes, WIDTH, 0, 0.1))[None]
    folds = folds_of(classes)
    assert not pays(features, folds[:1])
    assert not pays(features[:, :, :100], folds)
    fewer = folds[1]._replace(labels=folds[1].labels[:1], seeds=(0,))
    assert not pays(features, [folds[0], fewer])
    rare = folds[0].labels.clone()
    rare[1, torch.as_tensor(folds[0].rotation.test)[0]] = 2  # in no train sample here
    assert not pays(features, [folds[0]._replace(labels=rare), folds[1]._replace(labels=rare)])
