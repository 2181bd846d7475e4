"""Linear probes: the same numbers as scikit-learn, whatever the data look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import one_hot

from analysis.probes.kinds.linear import fit_linear, penalty_grid
from analysis.probes.logistic.forms import SampleForm, Vector, inner
from analysis.probes.logistic.goal import Goal
from analysis.probes.logistic.line_search import line_search, ray_from
from analysis.probes.logistic.solver import Stop
from analysis.probes.probe_kind import LabelledVectors
from analysis.probes.weights import weights_for
from tests.analysis.activation_lake import drawn
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import BALANCED_ACCURACY

EXACT = Stop(1e-7, 1e-5, 3000)


def parts(
    features: np.ndarray, labels: np.ndarray, dtype: torch.dtype = torch.float32
) -> tuple[LabelledVectors, LabelledVectors, torch.Tensor]:
    """Half of the rows as train, a quarter as val, a quarter as test, for one locus."""
    x, y = torch.tensor(features, dtype=dtype)[None], torch.tensor(labels)[None]
    n = len(labels)
    train, val, test = slice(0, n // 2), slice(n // 2, 3 * n // 4), slice(3 * n // 4, n)
    return (
        LabelledVectors(x[:, train].clone(), y[:, train]),
        LabelledVectors(x[:, val].clone(), y[:, val]),
        x[:, test],
    )


def sklearn_probabilities(
    features: np.ndarray, labels: np.ndarray, penalty: float, class_weight: str | None = None
) -> np.ndarray:
    n = len(labels)
    scaler = StandardScaler().fit(features[: n // 2].astype(np.float64))
    model = LogisticRegression(C=penalty, tol=1e-8, max_iter=20_000, class_weight=class_weight)
    model.fit(scaler.transform(features[: n // 2].astype(np.float64)), labels[: n // 2])
    return model.predict_proba(scaler.transform(features[3 * n // 4 :].astype(np.float64)))


def probabilities(logits: np.ndarray) -> np.ndarray:
    return torch.tensor(logits, dtype=torch.float64).softmax(-1).numpy()


def shuffled(data: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(data[1]))
    return data[0][order].astype(np.float32), data[1][order]


CASES = {
    "digits, 10 classes, fewer features than samples": shuffled(load_digits(return_X_y=True)),
    "breast cancer, 2 classes": shuffled(load_breast_cancer(return_X_y=True)),
    "wine, 3 classes": shuffled(load_wine(return_X_y=True)),
    "drawn, more features than samples": (
        drawn(np.arange(240) % 5, 700, 0, 0.2),
        np.arange(240) % 5,
    ),
    "drawn, 2 classes, more features than samples": (
        drawn(np.arange(160) % 2, 400, 1, 0.1),
        np.arange(160) % 2,
    ),
    "drawn, few samples": (drawn(np.arange(106) % 2, 400, 1, 0.1), np.arange(106) % 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("relative", [0.1, 1.0, 10.0, 100.0])
def test_probabilities_equal_those_of_scikit_learn(name: str, relative: float) -> None:
    features, labels = CASES[name]
    penalty = relative / features.shape[1]
    n_classes = int(labels.max()) + 1
    fits = fit_linear(*parts(features, labels, torch.float64), n_classes, (penalty,), EXACT)
    expected = sklearn_probabilities(features, labels, penalty)
    np.testing.assert_allclose(probabilities(fits.test_logits[0, 0]), expected, atol=2e-5)


def thinned(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without two thirds of class 1 and half of the last class."""
    left = np.bincount(labels)
    kept = (labels != 1) | (np.cumsum(labels == 1) <= left[1] // 3)
    last = labels.max()
    kept &= (labels != last) | (last == 1) | (np.cumsum(labels == last) <= left[last] // 2)
    return features[kept], labels[kept]


def weighed(part: LabelledVectors) -> LabelledVectors:
    return part._replace(weights=weights_for(BALANCED_ACCURACY, part.labels))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("relative", [0.1, 10.0, 100.0])
def test_balanced_probabilities_equal_those_of_scikit_learn(name: str, relative: float) -> None:
    features, labels = thinned(*CASES[name])
    penalty = relative / features.shape[1]
    train, val, test = parts(features, labels, torch.float64)
    n_classes = int(labels.max()) + 1
    fits = fit_linear(weighed(train), weighed(val), test, n_classes, (penalty,), EXACT)
    expected = sklearn_probabilities(features, labels, penalty, "balanced")
    np.testing.assert_allclose(probabilities(fits.test_logits[0, 0]), expected, atol=2e-5)
    n = len(labels)
    named = fits.val_logits[0, 0].argmax(-1)
    recalls = balanced_accuracy_score(labels[n // 2 : 3 * n // 4], named)
    assert fits.val_accuracy[0, 0, 0] == pytest.approx(recalls, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("relative", [0.1, 1.0, 10.0, 31.6])
def test_default_settings_are_good_to_a_thousandth(name: str, relative: float) -> None:
    features, labels = CASES[name]
    n_classes = int(labels.max()) + 1
    penalty = (relative / features.shape[1],)
    exact = fit_linear(*parts(features, labels, torch.float64), n_classes, penalty, EXACT)
    usual = fit_linear(*parts(features, labels), n_classes, penalty)
    np.testing.assert_allclose(
        probabilities(usual.test_logits), probabilities(exact.test_logits), atol=1e-3
    )


def test_a_path_started_warm_ends_where_a_cold_start_ends() -> None:
    features, labels = CASES["drawn, more features than samples"]
    path = penalty_grid(features.shape[1])
    warm = fit_linear(*parts(features, labels, torch.float64), 5, path, EXACT)
    chosen = (float(warm.penalty[0, 0]),)
    cold = fit_linear(*parts(features, labels, torch.float64), 5, chosen, EXACT)
    np.testing.assert_allclose(warm.test_logits, cold.test_logits, atol=1e-4)


def test_the_sample_form_and_the_feature_form_are_one_solution() -> None:
    """Zero columns change nothing but the form that is used."""
    features, labels = CASES["wine, 3 classes"]
    wide = np.concatenate([features, np.zeros((len(labels), 200), np.float32)], axis=1)
    a = fit_linear(*parts(features, labels, torch.float64), 3, (0.1,), EXACT)
    b = fit_linear(*parts(wide, labels, torch.float64), 3, (0.1,), EXACT)
    np.testing.assert_allclose(a.test_logits, b.test_logits, atol=1e-4)
    np.testing.assert_allclose(b.weight[..., 13:], 0)


def test_the_order_of_features_does_not_matter() -> None:
    features, labels = CASES["drawn, more features than samples"]
    order = np.random.default_rng(1).permutation(features.shape[1])
    a = fit_linear(*parts(features, labels), 5)
    b = fit_linear(*parts(features[:, order], labels), 5)
    np.testing.assert_array_equal(a.penalty, b.penalty)
    np.testing.assert_allclose(a.test_logits, b.test_logits, atol=2e-2)
    np.testing.assert_array_equal(a.test_logits.argmax(-1), b.test_logits.argmax(-1))


def test_a_doubled_feature_set_equals_a_doubled_penalty() -> None:
    features, labels = CASES["wine, 3 classes"]
    twice = np.concatenate([features, features], axis=1)
    a = fit_linear(*parts(features, labels, torch.float64), 3, (0.1,), EXACT)
    b = fit_linear(*parts(twice, labels, torch.float64), 3, (0.05,), EXACT)
    np.testing.assert_allclose(a.test_logits, b.test_logits, atol=1e-4)


def test_constant_features_get_no_weight() -> None:
    features, labels = CASES["wine, 3 classes"]
    constant = np.full((len(labels), 2), [7.3, -1e4], np.float32)
    constant[3 * len(labels) // 4 :] += 5  # a value that train never showed
    a = fit_linear(*parts(features, labels), 3, (0.1,))
    b = fit_linear(*parts(np.concatenate([features, constant], 1), labels), 3, (0.1,))
    np.testing.assert_allclose(a.test_logits, b.test_logits, atol=1e-3)
    np.testing.assert_array_equal(b.weight[..., 13:], 0)


def test_nothing_but_constant_features_gives_the_prior() -> None:
    labels = np.arange(80) % 4 % 3
    fits = fit_linear(*parts(np.ones((80, 5), np.float32), labels), 3)
    expected = np.bincount(labels[:40]) / 40
    np.testing.assert_allclose(probabilities(fits.test_logits)[0, 0, 0], expected, atol=1e-4)


def test_a_large_offset_costs_no_precision() -> None:
    features, labels = CASES["drawn, more features than samples"]
    a = fit_linear(*parts(features, labels), 5, (0.01,))
    b = fit_linear(*parts(features + np.float32(256), labels), 5, (0.01,))
    np.testing.assert_allclose(
        probabilities(a.test_logits), probabilities(b.test_logits), atol=2e-3
    )


def test_raw_coefficients_give_the_same_logits_from_raw_features() -> None:
    features, labels = CASES["digits, 10 classes, fewer features than samples"]
    train, val, test = parts(features, labels, torch.float64)
    raw = test.clone()
    fits = fit_linear(train, val, test, 10, stop=EXACT)
    logits = raw[0] @ fits.weight[0, 0].T + fits.intercept[0, 0]
    np.testing.assert_allclose(logits, fits.test_logits[0, 0], atol=1e-3)


def test_a_result_does_not_depend_on_its_neighbours() -> None:
    features, labels = CASES["drawn, more features than samples"]
    hard = drawn(labels, 700, 9, 0.02)
    alone = fit_linear(*parts(features, labels), 5)
    train, val, test = zip(parts(features, labels), parts(hard, labels), strict=True)
    y_train, y_val = train[0].labels, val[0].labels
    generator = torch.Generator().manual_seed(0)
    other_train = y_train[:, torch.randperm(y_train.shape[1], generator=generator)]
    together = fit_linear(
        LabelledVectors(
            torch.cat([part.features for part in train]), torch.cat([y_train, other_train])
        ),
        LabelledVectors(torch.cat([part.features for part in val]), torch.cat([y_val, y_val])),
        torch.cat(test),
        5,
    )
    assert together.penalty[0, 0] == alone.penalty[0, 0]
    np.testing.assert_allclose(together.test_logits[0, 0], alone.test_logits[0, 0], atol=1e-3)


def test_label_sets_that_are_solved_sooner_leave_the_others_to_go_on() -> None:
    """True labels of separable data take many times the iterations of shuffled ones."""
    features, labels = CASES["digits, 10 classes, fewer features than samples"]
    rng = np.random.default_rng(0)
    sets = torch.tensor(np.stack([labels, *(rng.permutation(labels) for _ in range(4))]))
    train, val, test = parts(features, labels)
    n = train.labels.shape[1]
    together = fit_linear(
        LabelledVectors(train.features.clone(), sets[:, :n]),
        LabelledVectors(val.features.clone(), sets[:, n : n + val.labels.shape[1]]),
        test.clone(),
        10,
    )
    alone = fit_linear(train, val, test, 10)
    assert together.converged.all()
    assert together.penalty[0, 0] == alone.penalty[0, 0]
    np.testing.assert_allclose(
        probabilities(together.test_logits[0, 0]),
        probabilities(alone.test_logits[0, 0]),
        atol=1e-3,
    )


def test_more_classes_than_samples_are_fitted() -> None:
    labels = np.arange(60)
    labels[30:45], labels[45:] = np.arange(15), np.arange(15, 30)
    features = drawn(labels, 8, 0)
    fits = fit_linear(*parts(features, labels), 60)
    assert fits.test_logits.shape == (1, 1, 15, 60)
    assert np.isfinite(fits.test_logits).all()


def test_a_class_that_train_never_showed_lies_far_below_the_others() -> None:
    labels = np.arange(40) % 2
    labels[30:] = 2
    fits = fit_linear(*parts(drawn(labels, 6, 0), labels), 4)
    logits = fits.test_logits[0, 0]
    assert set(logits.argmax(1)) <= {0, 1}
    np.testing.assert_allclose(logits[:, 2], logits[:, :2].min(1) - 30, atol=1e-4)


def test_a_class_with_a_single_sample_is_fitted() -> None:
    labels = np.array([0, 1] * 20)
    labels[3] = 2
    fits = fit_linear(*parts(drawn(labels, 100, 0), labels), 3)
    assert np.isfinite(fits.test_logits).all()
    assert fits.converged.all()


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(LayerhouseError, match="one class only"):
        fit_linear(*parts(np.ones((8, 3), np.float32), np.zeros(8, np.int64)), 2)


def test_the_penalty_is_chosen_by_val_accuracy_then_val_log_loss() -> None:
    features, labels = CASES["digits, 10 classes, fewer features than samples"]
    path = penalty_grid(64)
    fits = fit_linear(*parts(features, labels), 10, path)
    n, accuracies, losses = len(labels), [], []
    scaler = StandardScaler().fit(features[: n // 2])
    val = scaler.transform(features[n // 2 : 3 * n // 4]), labels[n // 2 : 3 * n // 4]
    for penalty in path:
        single = fit_linear(*parts(features, labels), 10, (penalty,))
        log_probability = np.log(probabilities(single.val_logits[0, 0]))
        accuracies.append(float(single.val_accuracy[0, 0, 0]))
        losses.append(-log_probability[np.arange(len(val[1])), val[1]].mean())
    best = max(accuracies)
    expected = min((loss, i) for i, loss in enumerate(losses) if accuracies[i] == best)[1]
    assert fits.penalty[0, 0] == pytest.approx(path[expected])


@pytest.mark.parametrize("n_sets", [1, 3])
def test_constant_features_of_two_even_classes_say_the_prior_whatever_is_fitted_beside_them(
    n_sets: int,
) -> None:
    """The prior leaves such a problem no gradient at all, while its neighbours go on."""
    labels = (torch.arange(40) % 2)[None].repeat(n_sets, 1)
    features = torch.randn(3, 40, 8, generator=torch.Generator().manual_seed(0))
    features[1] = 2.0
    fits = fit_linear(
        LabelledVectors(features.clone(), labels),
        LabelledVectors(features.clone(), labels),
        features.clone(),
        n_classes=2,
    )
    assert fits.test_logits[1].tolist() == np.zeros((n_sets, 40, 2)).tolist()
    assert np.isfinite(fits.test_logits).all()
    assert fits.converged.all()


def test_a_direction_whose_curvature_is_lost_in_rounding_is_not_followed_to_the_end() -> None:
    """Coordinates over samples cancel where these are nearly alike: the norm of what they stand for
    may come out negative, and at saturated probabilities nothing else bends."""
    draw = torch.Generator().manual_seed(0)
    one = torch.randn(1, 16, 4, generator=draw)
    form = SampleForm(torch.cat([one, one], dim=1))
    coef = 1e3 * torch.randn(1, 300, 2, 16, generator=draw)
    nothing = torch.zeros(1, 300, 2)
    direction = Vector(form.image(torch.cat([coef, -coef], dim=-1)), nothing)
    assert (inner(direction, direction) < 0).any()
    goal = Goal.of(one_hot(torch.arange(32) % 2).T.float().expand(300, -1, -1))
    logits = 1e3 * goal.named[None]
    ray = ray_from(form, logits, goal, direction, direction, direction, strength=0.01)
    ray = ray._replace(slope=torch.full((1, 300), -1e-5))
    prob = goal.probabilities(logits)
    length, after, stuck = line_search(ray, prob, torch.ones(1, 300, dtype=torch.bool))
    assert (ray.bend >= 0).all()
    assert torch.equal(stuck, ray.bend == 0)
    assert length[stuck].eq(0).all()
    assert after.isfinite().all()
