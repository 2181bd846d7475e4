"""Gradient descent for one image classifier, stopped early on val."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from analysis.baselines import augmentation
from analysis.probes import weighed_mean
from warehouse.errors import LayerhouseError

EVALUATION_BATCH = 128
Standardise = Callable[[Tensor], Tensor]


class LabelledPixels(NamedTuple):
    """uint8 images [n, 3, side, side], class places [n], and what images weigh [n] in the loss and
    in the score, with mean 1; None where all weigh the same."""

    images: Tensor
    classes: Tensor
    weights: Tensor | None


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine to zero; `patience` epochs without a better val."""

    learning_rate: float
    epochs: int
    patience: int
    batch_size: int = 32
    weight_decay: float = 0.05
    warm_up: float = 0.05
    label_smoothing: float = 0.05
    clip: float = 1.0

    def at_most(self, epochs: int | None) -> "Schedule":
        return self if epochs is None else replace(self, epochs=epochs)

    def settings(self) -> dict[str, Any]:
        return {**asdict(self), "augmentation": augmentation.SETTINGS}

    def factor(self, step: int, total: int) -> float:
        """The share of the learning rate at a step."""
        warm = max(1, round(self.warm_up * total))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


FROM_SCRATCH = Schedule(learning_rate=1e-3, epochs=60, patience=15)
FROM_WEIGHTS = Schedule(learning_rate=1e-4, epochs=30, patience=8)


def fit(
    model: nn.Module,
    standardise: Standardise,
    train: LabelledPixels,
    val: LabelledPixels,
    schedule: Schedule,
    generator: torch.Generator,
) -> dict[str, Any]:
    """Train `model` in place and leave it at its best epoch; returns which one that was.

    Better is a higher share of val that is right, then a lower val loss. Raises LayerhouseError
    when the loss is not finite.
    """
    images, classes, weights = train
    size = min(schedule.batch_size, len(images))
    steps = max(1, len(images) // size)
    optimiser = torch.optim.AdamW(_groups(model, schedule.weight_decay), lr=schedule.learning_rate)
    total = steps * schedule.epochs
    warming = LambdaLR(optimiser, lambda step: schedule.factor(step, total))
    best, kept, best_epoch = (-1.0, -math.inf), deepcopy(model.state_dict()), 0
    for epoch in range(1, schedule.epochs + 1):
        order = torch.randperm(len(images), generator=generator)
        model.train()
        # What does not fill a batch waits for the next order: one image has no batch statistics.
        for rows in order[: steps * size].view(steps, size):
            batch = augmentation.augment(standardise(images[rows]), generator)
            weighing = None if weights is None else weights[rows]
            _step(model, LabelledPixels(batch, classes[rows], weighing), schedule, optimiser)
            warming.step()
        score = _score(predict(model, standardise, val.images), val)
        if score > best:
            best, kept, best_epoch = score, deepcopy(model.state_dict()), epoch
        elif epoch - best_epoch >= schedule.patience:
            break
    model.load_state_dict(kept)
    return {"epoch": best_epoch, "epochs_run": epoch}


def predict(model: nn.Module, standardise: Standardise, images: Tensor) -> NDArray[np.float32]:
    """Logits [n, classes] of uint8 images [n, 3, side, side]."""
    model.eval()
    with torch.inference_mode():
        parts = [model(standardise(part)).logits for part in images.split(EVALUATION_BATCH)]
    return torch.cat(parts).float().cpu().numpy()


def _step(
    model: nn.Module,
    batch: LabelledPixels,
    schedule: Schedule,
    optimiser: torch.optim.Optimizer,
) -> None:
    """One step on a batch whose images are standardised."""
    logits = model(batch.images).logits
    losses = cross_entropy(
        logits,
        batch.classes.to(logits.device),
        label_smoothing=schedule.label_smoothing,
        reduction="none",
    )
    loss = (losses if batch.weights is None else losses * batch.weights.to(losses)).mean()
    if not torch.isfinite(loss):
        raise LayerhouseError(
            f"the loss of {type(model).__name__} is not finite; start from other weights or "
            "another seed"
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
    optimiser.step()


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases, norms and scales do not."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]


def _score(logits: NDArray[np.float32], val: LabelledPixels) -> tuple[float, float]:
    """The share that is right, then minus the log loss, both as images weigh."""
    found = torch.from_numpy(logits)
    right = weighed_mean((found.argmax(1) == val.classes).double(), val.weights)
    losses = cross_entropy(found, val.classes, reduction="none")
    return float(right), -float(weighed_mean(losses, val.weights))
