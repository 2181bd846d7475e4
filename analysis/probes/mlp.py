"""The paper's probe: a two-layer MLP, all loci of one width and all seeds trained side by side.

arXiv 2604.08333: ReLU, dropout 0.1, AdamW with learning rate 1e-4, cosine schedule after a warm-up
of 5%, 20 epochs, batch size 4. The hidden width is not stated there and is an option here. The
paper chooses nothing on val, neither does this: the last epoch counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from analysis.parallel import one_torch_thread
from analysis.probes.linear import Part, seen_classes, widen
from analysis.probes.standardise import standardise


@dataclass(frozen=True)
class MlpOptions:
    """The schedule; the defaults are the paper's, but for `hidden`, which it does not state."""

    hidden: int = 256
    epochs: int = 20
    batch_size: int = 4
    learning_rate: float = 1e-4
    warm_up: float = 0.05
    dropout: float = 0.1
    weight_decay: float = 0.01
    device: str = "cpu"


@dataclass(frozen=True)
class MlpFits:
    """val_logits, test_logits: [loci, sets, n, classes]; train_loss: last epoch's, [loci, sets]."""

    val_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    train_loss: NDArray[np.float64]


@one_torch_thread()
def fit_mlp(
    train: Part,
    val: Tensor,
    test: Tensor,
    n_classes: int,
    seeds: tuple[int, ...],
    options: MlpOptions | None = None,
    tick: Callable[[], None] | None = None,
) -> MlpFits:
    """Train one probe per (locus, set); the set's seed fixes start, order and dropout.

    Every locus sees the same random numbers for a seed, so a result does not depend on which
    loci are trained next to it. Feature tensors [loci, n, width] are consumed (standardised in
    place); train.labels: [sets, n], seeds: one per set; `tick` is called after every epoch.
    """
    options = options or MlpOptions()
    seen = seen_classes(train.labels)
    moments = standardise(train.features)
    scale = moments.inverse_scale[:, None]
    loci, _, width = train.features.shape
    layers = _start(loci, width, len(seen), seeds, options.hidden, train.features.device)
    labels = torch.searchsorted(seen, train.labels.contiguous())
    loss = _train(layers, train.features, labels, seeds, options, tick)
    val_logits, test_logits = (
        _forward(layers, moments.centre(part).mul_(scale)[:, None], None).detach()
        for part in (val, test)
    )
    return MlpFits(
        val_logits=widen(val_logits, seen, n_classes),
        test_logits=widen(test_logits, seen, n_classes),
        train_loss=loss,
    )


def _start(
    loci: int, width: int, classes: int, seeds: tuple[int, ...], hidden: int, device: torch.device
) -> list[Tensor]:
    """First and second layer's weights and biases, [loci, sets, …], uniform as in nn.Linear."""
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
        layers.append(rows.expand(loci, *rows.shape).contiguous().to(device).requires_grad_())
    return layers


def _forward(layers: list[Tensor], batch: Tensor, mask: Tensor | None) -> Tensor:
    """Logits [loci, sets, n, classes] of a batch [loci, sets or 1, n, width]."""
    first, first_bias, second, second_bias = layers
    hidden = (batch @ first + first_bias).relu()
    if mask is not None:
        hidden = hidden * mask
    return hidden @ second + second_bias


def _train(
    layers: list[Tensor],
    features: Tensor,
    labels: Tensor,
    seeds: tuple[int, ...],
    options: MlpOptions,
    tick: Callable[[], None] | None,
) -> NDArray[np.float64]:
    loci, n, _ = features.shape
    sets = len(seeds)
    optimiser = torch.optim.AdamW(
        layers, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    steps = math.ceil(n / options.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, options.epochs * steps, options.warm_up)
    )
    generators = [torch.Generator().manual_seed(seed + 1_000_003) for seed in seeds]
    total = torch.zeros(loci, sets, dtype=torch.float64, device=features.device)
    for _ in range(options.epochs):
        order = torch.stack([torch.randperm(n, generator=one) for one in generators])
        order = order.to(features.device)
        keep = torch.stack(
            [torch.rand(n, options.hidden, generator=one) >= options.dropout for one in generators]
        ).to(features)
        keep /= 1 - options.dropout
        total.zero_()
        for start in range(0, n, options.batch_size):
            rows = order[:, start : start + options.batch_size]
            mask = keep[:, start : start + options.batch_size]
            logits = _forward(layers, features[:, rows], mask)
            truth = labels.gather(1, rows).expand(loci, -1, -1)
            losses = cross_entropy(logits.flatten(0, 2), truth.flatten(), reduction="none")
            mean = losses.view(loci, sets, -1).mean(-1)
            optimiser.zero_grad(set_to_none=True)
            # The probes share no weight, so the gradient of the sum is each one's own.
            mean.sum().backward()
            optimiser.step()
            schedule.step()
            total += mean.detach() * rows.shape[1]
        if tick is not None:
            tick()
    return (total / n).cpu().numpy()


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Share of the learning rate: linear warm-up, then half a cosine down to zero."""
    ramp = max(1, round(warm_up * steps))
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))
