"""The bootstrap's arithmetic, its coverage, and how often it accuses a healthy model."""

from math import exp, log, sqrt

import numpy as np
import pytest

from analysis.diagnosis.evidence import Curve, Evidence
from analysis.diagnosis.intervals import Resampling, interval_rows
from analysis.diagnosis.losses import available_accuracies, health_score, stage_losses

STAGES = ("vision", "connector", "llm", "answer")


def evidence(correct, chosen, groups=None, curves=()):
    correct = np.asarray(correct, dtype=float)
    if groups is None:
        groups = np.arange(correct.shape[1]).astype(str)
    rows = {place: row for row, place in enumerate(dict.fromkeys(chosen.values()))}
    return Evidence(np.asarray(groups), correct, rows, chosen, curves)


def bounds(rows, quantity="loss"):
    return {row["stage"]: row for row in rows["stage_interval"] if row["quantity"] == quantity}


def place(name):
    return (name, None, "mean", "linear")


def test_signals_are_running_maxima_in_every_resample():
    chosen = {
        "vision": np.array([0.5, 0.9]),
        "connector": np.array([0.7, 0.6]),
        "llm": np.array([0.6, 0.7]),
        "answer": np.array([0.4, 0.8]),
    }
    available = available_accuracies(chosen)
    assert {stage: list(values) for stage, values in available.items()} == {
        "answer": [0.4, 0.8],
        "llm": [0.6, 0.8],
        "connector": [0.7, 0.8],
        "vision": [0.7, 0.9],
    }
    losses = stage_losses(available, np.array([0.8, 0.1]))
    assert losses["vision"] == pytest.approx([0.1, 0.0])
    assert losses["total"] == pytest.approx(sum(losses[stage] for stage in STAGES))


def test_health_score_of_every_resample_follows_the_conventions():
    curves = np.array([[0.8, 0.4, 0.8], [0.4, 0.0, 0.8], [0.4, 0.4, 0.0]])
    gain, penalty = log(0.8 / sqrt(0.8 * 0.4)), exp(-0.2 * 0.8 / 0.8)
    expected = [0.8 * (1 + gain) * penalty, np.nan, 0.0]
    assert health_score(curves, 0, 2) == pytest.approx(expected, nan_ok=True)


def test_predictors_are_resampled_together():
    # Both are right on the same samples, so their difference is 0 in every resample.
    right = np.arange(100) % 3 > 0
    chosen = {"vision": place("vision"), "answer": place("answer")}
    rows = interval_rows(evidence([right, right], chosen), Resampling(200), "m", "d")
    loss = bounds(rows)["total"]
    assert (loss["lower"], loss["point"], loss["upper"]) == (0.0, 0.0, 0.0)


def test_whole_groups_are_resampled():
    # Ten samples per patient that agree: the interval is that of 50 patients, not of 500 images.
    right = np.repeat(np.arange(50) % 2 == 0, 10)
    chosen = {"vision": place("vision")}
    alone = interval_rows(evidence([right], chosen), Resampling(), "m", "d")
    patients = np.repeat(np.arange(50), 10).astype(str)
    grouped = interval_rows(evidence([right], chosen, patients), Resampling(), "m", "d")

    def width(rows):
        row = bounds(rows, "accuracy")["vision"]
        return row["upper"] - row["lower"]

    assert width(grouped) == pytest.approx(sqrt(10) * width(alone), rel=0.15)
    assert bounds(grouped, "accuracy")["vision"]["n_groups"] == 50


def test_a_predictor_is_scored_on_the_samples_it_was_tested_on():
    baseline = np.array([1.0, 1.0, 1.0, 0.0] * 10)
    model = np.where(np.arange(40) < 20, baseline, np.nan)
    chosen = {"reference": place("baseline"), "vision": place("vision")}
    rows = interval_rows(evidence([baseline, model], chosen), Resampling(200), "m", "d")
    accuracy = bounds(rows, "accuracy")
    assert (accuracy["vision"]["point"], accuracy["total"]["point"]) == (0.75, 0.75)
    assert accuracy["vision"]["n_groups"] == 20


def test_an_accuracy_also_has_the_name_that_it_had():
    chosen = {"reference": place("baseline"), "vision": place("vision")}
    right = np.array([np.arange(40) % 3 > 0, np.arange(40) % 2 > 0])
    rows = interval_rows(evidence(right, chosen), Resampling(200), "m", "d")
    named, before = (bounds(rows, name) for name in ("accuracy", "signal"))
    assert set(named) == {"vision", "total"}
    assert before == {stage: row | {"quantity": "signal"} for stage, row in named.items()}


def test_a_curve_without_its_end_has_no_interval():
    chosen = {"vision": place("vision")}
    curve = Curve("vision", "mean", (place("vision"),), start=0, end=None)
    rows = interval_rows(
        evidence([np.ones(30)], chosen, curves=(curve,)), Resampling(100), "m", "d"
    )
    assert rows["health_interval"] == []


def draw(rng, accuracies, n=200):
    """Correctness [n predictors, n] of predictors that share one difficulty per sample."""
    difficulty = rng.standard_normal(n)
    own = rng.standard_normal((len(accuracies), n))
    hardness = 0.9 * difficulty + sqrt(1 - 0.81) * own
    thresholds = np.quantile(rng.standard_normal(200_000), accuracies)
    return hardness < thresholds[:, None]


def trials(accuracies, n_trials=60):
    """Loss intervals of many test splits drawn from a model with these true accuracies."""
    chosen = {stage: place(stage) for stage in STAGES}
    rng = np.random.default_rng(0)
    for _ in range(n_trials):
        drawn = evidence(draw(rng, accuracies), chosen)
        yield bounds(interval_rows(drawn, Resampling(400), "m", "d"))


def test_healthy_models_are_accused_in_at_most_one_of_twenty_trials():
    alarms = [any(rows[stage]["lower"] > 0.02 for stage in STAGES) for rows in trials([0.8] * 4)]
    assert np.mean(alarms) <= 0.05


def test_intervals_of_a_true_loss_cover_it():
    covered = [
        rows["connector"]["lower"] <= 0.3 <= rows["connector"]["upper"]
        for rows in trials([0.9, 0.6, 0.6, 0.6])
    ]
    # The maximum over three equal later stages leans upwards, the loss therefore downwards.
    assert np.mean(covered) >= 0.85
