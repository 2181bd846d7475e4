"""The paper's probe: a two-layer MLP, all cells of one width and all seeds trained side by side.

arXiv 2604.08333: ReLU, dropout 0.1, AdamW with learning rate 1e-4, cosine schedule after a warm-up
of 5%, 20 epochs, batch size 4. The hidden width is not stated there and is an option here. The
paper chooses nothing on val, neither does this: the last epoch counts.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from analysis.logits import widen
from analysis.parallel import one_torch_thread
from analysis.probes.probe_kind import Fits, LabelledVectors, ProbeData, ProbeKind, seen_classes
from analysis.probes.standardising import standardise

STATE_BYTES = 2**30  # weights, gradients and two moments of one chunk


@dataclass(frozen=True)
class MlpProbe(ProbeKind):
    """The schedule; the defaults are the paper's, but for `hidden`, which it does not state."""

    name = "mlp"

    hidden: int = 256
    epochs: int = 20
    batch_size: int = 4
    learning_rate: float = 1e-4
    warm_up: float = 0.05
    dropout: float = 0.1
    weight_decay: float = 0.01

    def most_cells(self, n_samples: int, width: int, n_sets: int) -> int:
        state = 16 * n_sets * width * self.hidden
        return min(super().most_cells(n_samples, width, n_sets), STATE_BYTES // state)

    @one_torch_thread()
    def fit(self, data: ProbeData) -> Fits:
        """A set's seed fixes start, order and dropout, the same for every cell.

        So a result does not depend on which cells are trained next to it.
        """
        features = data.train.features
        seen = seen_classes(data.train.labels)
        moments = standardise(features)
        scale = moments.inverse_scale[:, None]
        layers = _start(features, len(seen), data.seeds, self.hidden)
        labels = torch.searchsorted(seen, data.train.labels.contiguous())
        losses = _train(layers, data.train._replace(labels=labels), data.seeds, self)
        named = seen.cpu().numpy()
        val_logits, test_logits = (
            _forward(layers, moments.centre(part).mul_(scale)[:, None], None).detach().cpu().numpy()
            for part in (data.val.features, data.test)
        )
        return Fits(
            widen(val_logits, named, data.n_classes),
            widen(test_logits, named, data.n_classes),
            [[{"train_loss": float(loss)} for loss in row] for row in losses],
        )


KIND = MlpProbe()


def _start(features: Tensor, classes: int, seeds: tuple[int, ...], hidden: int) -> list[Tensor]:
    """First and second layer's weights and biases, [cells, sets, …], uniform as in nn.Linear.

    features: [cells, n, width].
    """
    cells, _, width = features.shape
    shapes = [
        ((width, hidden), width),
        ((1, hidden), width),
        ((hidden, classes), hidden),
        ((1, classes), hidden),
    ]
    layers = []
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for shape, fan_in in shapes:
        rows = torch.stack([torch.rand(shape, generator=generator) for generator in generators])
        rows = (2 * rows - 1) / math.sqrt(fan_in)
        layers.append(
            rows.expand(cells, *rows.shape).contiguous().to(features.device).requires_grad_()
        )
    return layers


def _forward(layers: list[Tensor], batch: Tensor, mask: Tensor | None) -> Tensor:
    """Logits [cells, sets, n, classes] of a batch [cells, sets or 1, n, width]."""
    first, first_bias, second, second_bias = layers
    hidden = (batch @ first + first_bias).relu()
    if mask is not None:
        hidden = hidden * mask
    return hidden @ second + second_bias


def _train(
    layers: list[Tensor],
    train: LabelledVectors,
    seeds: tuple[int, ...],
    probe: MlpProbe,
) -> NDArray[np.float64]:
    """Train layers in place; the mean loss of the last epoch, [cells, sets]."""
    features, labels, weights = train
    cells, n, _ = features.shape
    sets = len(seeds)
    optimiser = torch.optim.AdamW(
        layers, lr=probe.learning_rate, weight_decay=probe.weight_decay, fused=True
    )
    steps = math.ceil(n / probe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, probe.epochs * steps, probe.warm_up)
    )
    generators = [torch.Generator().manual_seed(seed + 1_000_003) for seed in seeds]
    total = torch.zeros(cells, sets, dtype=torch.float64, device=features.device)
    for _ in range(probe.epochs):
        order = torch.stack([torch.randperm(n, generator=one) for one in generators])
        order = order.to(features.device)
        keep = torch.stack(
            [torch.rand(n, probe.hidden, generator=one) >= probe.dropout for one in generators]
        ).to(features)
        keep /= 1 - probe.dropout
        total.zero_()
        for start in range(0, n, probe.batch_size):
            rows = order[:, start : start + probe.batch_size]
            mask = keep[:, start : start + probe.batch_size]
            logits = _forward(layers, features[:, rows], mask)
            truth = labels.gather(1, rows).expand(cells, -1, -1)
            losses = cross_entropy(logits.flatten(0, 2), truth.flatten(), reduction="none")
            losses = losses.view(cells, sets, -1)
            if weights is not None:
                losses = losses * weights.gather(1, rows)
            mean = losses.mean(-1)
            optimiser.zero_grad(set_to_none=True)
            # The probes share no weight, so the gradient of the sum is each one's own.
            mean.sum().backward()
            optimiser.step()
            schedule.step()
            total += mean.detach() * rows.shape[1]
    return (total / n).cpu().numpy()


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Share of the learning rate: linear warm-up, then half a cosine down to zero."""
    ramp = max(1, round(warm_up * steps))
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))
