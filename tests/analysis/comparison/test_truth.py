"""Paired intervals against models whose true numbers are known: how often they hold them, and how
often two equal models are called different."""

from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from analysis.bootstrap import bootstrap_weights
from analysis.comparison.ranking import auroc, auroc_gain
from analysis.comparison.recovery import recovered
from analysis.diagnosis.evidence import Curve, Evidence
from analysis.diagnosis.intervals import bounds, resampled
from warehouse.vocabulary import STAGES

Floats = NDArray[np.float64]

N_GROUPS, PER_GROUP, N_RESAMPLES, N_SETS = 100, 2, 300, 200
N = N_GROUPS * PER_GROUP
GROUPS = np.repeat(np.arange(N_GROUPS), PER_GROUP).astype(str)
SPREAD = np.random.default_rng(0).standard_normal(400_000)

PLACES = {stage: (stage, None, "mean", "linear") for stage in STAGES}
CURVE = [("llm", layer, "last", "linear") for layer in range(4)]


def hardness(rng: np.random.Generator, n_rows: int) -> Floats:
    """How hard each sample is for each predictor [n rows, N], standard normal: half of it is the
    group's, most of the rest the sample's, whoever looks at it."""
    group = np.repeat(rng.standard_normal(N_GROUPS), PER_GROUP)
    common = sqrt(0.5) * group + sqrt(0.5) * rng.standard_normal(N)
    return np.asarray(sqrt(0.8) * common + sqrt(0.2) * rng.standard_normal((n_rows, N)))


def evidence(right: Floats, strata: NDArray[np.int64] | None = None) -> Evidence:
    """Of four stages, or of a curve of as many loci, whichever `right` [4, N] is of."""
    rows = {place: row for row, place in enumerate(PLACES.values())}
    return Evidence(GROUPS, right, rows, PLACES, (), strata=strata)


def covered(found: list[tuple[Floats, Floats]], truth: float) -> tuple[float, float]:
    """The share of sets whose interval holds the truth, and of those that are off 0."""
    intervals = [bounds(*one) for one in found]
    held = [one["lower"] <= truth <= one["upper"] for one in intervals]
    off = [one["lower"] > 0 or one["upper"] < 0 for one in intervals]
    return float(np.mean(held)), float(np.mean(off))


def differences(
    model: list[float], base: list[float], key: tuple[str, str], shares: list[float] | None = None
) -> list[tuple[Floats, Floats]]:
    """The difference of one quantity in every set, as `compare` takes it: point and resamples."""
    rng, found = np.random.default_rng(1), []
    for _ in range(N_SETS):
        hard = hardness(rng, 8)
        cuts = np.quantile(SPREAD, model + base)[:, None]
        right = (hard < cuts).astype(float)
        strata = None if shares is None else rng.choice(len(shares), size=N, p=shares)
        weights, index = bootstrap_weights(GROUPS, N_RESAMPLES, 0)
        sides = [evidence(right[:4], strata), evidence(right[4:], strata)]
        point, drawn = (
            np.subtract(*(resampled(side, by, index)[key] for side in sides))
            for by in (np.ones_like(weights[:1]), weights)
        )
        found.append((point, drawn))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("shares", [None, [0.6, 0.25, 0.15]], ids=["accuracy", "balanced"])
def test_differences_of_answers_are_held_and_equal_answers_called_equal(
    shares: list[float] | None,
) -> None:
    key = ("answer", "accuracy")
    held, _ = covered(differences([0.9, 0.9, 0.9, 0.6], [0.9, 0.9, 0.9, 0.7], key, shares), -0.1)
    assert 0.9 <= held <= 0.99
    _, off = covered(differences([0.9, 0.9, 0.9, 0.7], [0.9, 0.9, 0.9, 0.7], key, shares), 0.0)
    assert off <= 0.1


@pytest.mark.slow
def test_differences_of_losses_are_held_and_equal_losses_called_equal() -> None:
    losing, whole = [0.9, 0.6, 0.6, 0.6], [0.9, 0.9, 0.9, 0.6]
    key = ("connector", "loss")
    held, _ = covered(differences(losing, whole, key), 0.3)
    assert held >= 0.85  # maxima over equal stages lean upwards, on one side more than on the other
    _, off = covered(differences(losing, losing, key), 0.0)
    assert off <= 0.1


def scores(rng: np.random.Generator, labels: NDArray[np.int64], signal: float) -> Floats:
    """Probabilities [N, 3] that rise with the class by `signal` deviations."""
    noise = np.stack([hardness(rng, 1)[0] for _ in range(3)], axis=1)
    logits = noise + signal * np.eye(3)[labels]
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


@pytest.mark.slow
def test_gains_of_auroc_are_held_and_equal_ranking_called_equal() -> None:
    def gains(signal: float, of_base: float) -> list[tuple[Floats, Floats]]:
        rng, found = np.random.default_rng(2), []
        for _ in range(N_SETS):
            labels = rng.choice(3, size=N, p=[0.5, 0.3, 0.2])
            sides = {
                "probabilities": scores(rng, labels, signal).tolist(),
                "base_probabilities": scores(rng, labels, of_base).tolist(),
            }
            weights, index = bootstrap_weights(GROUPS, N_RESAMPLES, 0)
            ranked = auroc_gain(pl.DataFrame({"class_index": labels, **sides}), weights, index)
            assert ranked is not None
            found.append(ranked)
        return found

    rng = np.random.default_rng(3)
    labels = np.tile(rng.choice(3, size=N, p=[0.5, 0.3, 0.2]), 300)
    once = np.ones((1, 1))
    many = [
        auroc(
            np.concatenate([scores(rng, labels[:N], signal) for _ in range(300)]),
            labels,
            once,
            np.zeros(len(labels), dtype=np.intp),
        )[0]
        for signal in (1.5, 1.0)
    ]
    held, _ = covered(gains(1.5, 1.0), float(many[0] - many[1]))
    assert 0.9 <= held <= 0.99
    _, off = covered(gains(1.0, 1.0), 0.0)
    assert off <= 0.1


@pytest.mark.slow
def test_the_share_that_a_repair_brings_back_is_held() -> None:
    """0.2 of the 0.45 that the connector loses come back."""
    rng, found = np.random.default_rng(4), []
    for _ in range(N_SETS):
        hard = hardness(rng, 8)
        mended, base = [0.95, 0.7, 0.7, 0.7], [0.95, 0.5, 0.5, 0.5]
        right = (hard < np.quantile(SPREAD, mended + base)[:, None]).astype(float)
        right[1:4], right[5:8] = right[3], right[7]  # one predictor stands for what is behind
        weights, index = bootstrap_weights(GROUPS, N_RESAMPLES, 0)
        sides = [evidence(right[:4]), evidence(right[4:])]
        once = np.ones_like(weights[:1])
        points, drawn = ([resampled(side, by, index) for side in sides] for by in (once, weights))
        found.append(recovered(points, drawn)["connector", "recovered_share"])
    held, off = covered(found, 0.2 / 0.45)
    assert 0.9 <= held <= 0.99
    assert off > 0.9


@pytest.mark.slow
def test_health_scores_of_short_curves_are_held() -> None:
    """Resamples lean down, the more the longer a curve: noise adds variation, which is punished."""
    truth = [0.6, 0.65, 0.7, 0.75]
    rng, found = np.random.default_rng(5), []
    rows = {place: row for row, place in enumerate(CURVE)}
    curve = Curve("llm", "last", tuple(CURVE), 0, 3)
    for _ in range(N_SETS):
        right = (hardness(rng, 4) < np.quantile(SPREAD, truth)[:, None]).astype(float)
        side = Evidence(GROUPS, right, rows, {}, (curve,))
        weights, index = bootstrap_weights(GROUPS, N_RESAMPLES, 0)
        point, drawn = (
            resampled(side, by, index)["llm", "health_last"]
            for by in (np.ones_like(weights[:1]), weights)
        )
        found.append((point, drawn))
    expected = 0.75 * (1 + np.log(0.75 / 0.6)) * np.exp(-0.2 * 0.15 / 0.75)
    held, _ = covered(found, float(expected))
    assert held >= 0.85
