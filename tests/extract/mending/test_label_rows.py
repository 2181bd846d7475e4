"""The fitted rows are the ones of least loss, which a plain optimiser of scipy finds too."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from extract.mending.kinds.label_rows import _fit, _States


def test_the_rows_are_the_best_for_their_ridge() -> None:
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(60, 4, generator=generator)
    wanted = torch.tensor([i % 3 if i % 7 else -1 for i in range(60)])
    others = torch.randn(60, generator=generator)
    told = torch.randn(60, generator=generator) - 3
    offset, before = torch.tensor([0.5, 0.0, -0.5]), torch.randn(3, 4, generator=generator)
    weights = 0.5 + torch.arange(60) % 3
    states = _States(given, others, offset, wanted, told, weights)
    fitted, loss = _fit(states, before, before, 1e-2)

    x, rest, named = given.double().numpy(), others.double().numpy(), wanted.numpy() >= 0
    strength = 1e-2 * float((x**2).sum(axis=1).mean()) / 4

    def objective(flat: np.ndarray) -> tuple[float, float]:
        rows = flat.reshape(3, 4)
        scores = x @ rows.T + offset.double().numpy()
        total = np.logaddexp(logsumexp(scores, axis=1), rest)
        own = scores[np.arange(60), np.maximum(wanted.numpy(), 0)]
        losses = total - np.where(named, own, told.double().numpy())
        mean = (losses * weights.numpy()).mean()
        return mean, 0.5 * strength * ((rows - before.double().numpy()) ** 2).sum()

    best = minimize(lambda flat: sum(objective(flat)), before.double().numpy().ravel())
    assert np.allclose(fitted.numpy().ravel(), best.x, atol=2e-3)
    assert np.isclose(loss, objective(best.x)[0], atol=1e-4)
