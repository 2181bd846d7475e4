"""The paper's probe: batched training equals training one at a time with torch's own modules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from analysis.probes.kinds.mlp import MlpProbe
from analysis.probes.probe_kind import LabelledVectors, ProbeData
from tests.analysis.activation_lake import drawn

LABELS = np.arange(60) % 3


WEIGHTS = torch.tensor([1.5, 0.5, 1.0])[LABELS[:40]]


def data(
    seeds: tuple[int, ...], cells: tuple[int, ...] = (0, 1), weights: torch.Tensor | None = None
) -> ProbeData:
    """Forty train, ten val and ten test samples of some drawn cells, true labels for every seed."""
    features = torch.stack([torch.from_numpy(drawn(LABELS, 10, cell, 1.0)) for cell in cells])
    labels = torch.from_numpy(LABELS).expand(len(seeds), -1)
    return ProbeData(
        LabelledVectors(
            features[:, :40].clone(),
            labels[:, :40],
            None if weights is None else weights.expand(len(seeds), -1),
        ),
        LabelledVectors(features[:, 40:50].clone(), labels[:, 40:50]),
        features[:, 50:],
        n_classes=3,
        seeds=seeds,
    )


def trained_alone(
    features: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    seed: int,
    options: MlpProbe,
) -> nn.Module:
    """One probe with nn.Linear, torch's optimiser and a loop, from the same random numbers."""
    generator = torch.Generator().manual_seed(seed)
    width, classes = features.shape[1], int(labels.max()) + 1
    first, second = nn.Linear(width, options.hidden), nn.Linear(options.hidden, classes)
    with torch.no_grad():
        for layer, fan_in in ((first, width), (second, options.hidden)):
            for tensor, shape in (
                (layer.weight, (fan_in, layer.out_features)),
                (layer.bias, (1, layer.out_features)),
            ):
                start = (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)
                tensor.copy_(start.T if tensor.dim() == 2 else start[0])
    model = nn.Sequential(first, nn.ReLU(), second)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    generator, n = torch.Generator().manual_seed(seed + 1_000_003), len(features)
    per_epoch = math.ceil(n / options.batch_size)
    ramp, steps, step = max(1, round(0.05 * options.epochs * per_epoch)), 0, 0
    steps = options.epochs * per_epoch
    for _ in range(options.epochs):
        order = torch.randperm(n, generator=generator)
        keep = torch.rand(n, options.hidden, generator=generator) >= options.dropout
        for start in range(0, n, options.batch_size):
            rows = order[start : start + options.batch_size]
            rate = (
                (step + 1) / ramp
                if step < ramp
                else 0.5 * (1 + math.cos(math.pi * (step - ramp) / (steps - ramp)))
            )
            optimiser.param_groups[0]["lr"] = options.learning_rate * rate
            mask = keep[start : start + options.batch_size] / (1 - options.dropout)
            losses = nn.functional.cross_entropy(
                second(first(features[rows]).relu() * mask), labels[rows], reduction="none"
            )
            optimiser.zero_grad()
            (losses * weights[rows]).mean().backward()
            optimiser.step()
            step += 1
    return model


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighed"])
def test_side_by_side_training_equals_training_alone(weights: torch.Tensor | None) -> None:
    probe = MlpProbe(hidden=8, epochs=3, learning_rate=3e-3)
    given, raw = data((0, 1), weights=weights), data(seeds=(0, 1))
    told = torch.ones(40) if weights is None else weights
    fits = probe.fit(given)
    for cell in range(2):
        features = raw.train.features[cell]
        mean, spread = features.mean(0), features.std(0, correction=0)
        for seed in range(2):
            labels = raw.train.labels[seed]
            alone = trained_alone((features - mean) / spread, labels, told, seed, probe)
            expected = alone((raw.test[cell] - mean) / spread).detach()
            np.testing.assert_allclose(fits.test_logits[cell, seed], expected, atol=1e-4)


def test_a_probe_does_not_depend_on_its_neighbours() -> None:
    probe = MlpProbe(hidden=8, epochs=2)
    both, alone = probe.fit(data(seeds=(0, 1))), probe.fit(data(seeds=(1,), cells=(1,)))
    np.testing.assert_allclose(alone.val_logits[0, 0], both.val_logits[1, 1], atol=1e-5)


def test_the_class_is_learned() -> None:
    fits = MlpProbe(hidden=32, epochs=20, learning_rate=1e-3).fit(data(seeds=(0,)))
    assert (fits.test_logits[:, 0].argmax(-1) == LABELS[50:]).mean() > 0.8
