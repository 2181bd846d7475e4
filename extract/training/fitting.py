"""Fitting: a model learns the answers of its train images; the val images choose the epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from extract.training.answers import IGNORED, Answers
from extract.training.images import Images, augmented
from extract.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean losses per answer token, and exact answers on val."""

    number: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@torch.no_grad()
def evaluate(model: Any, answers: Answers, data: Images) -> tuple[float, float]:
    """Mean loss per answer token, and the share of images whose whole answer is the greedy one."""
    model.eval()
    loss, tokens, right = 0.0, 0, 0
    for pixels, classes in zip(data.pixels.split(256), data.classes.split(256), strict=True):
        logits, targets = answers.logits(model, pixels, classes), answers.targets[classes]
        counted = targets != IGNORED
        loss += float(_loss(logits, targets, reduction="sum"))
        tokens += int(counted.sum())
        right += int(((logits.argmax(-1) == targets) | ~counted).all(dim=1).sum())
    return loss / tokens, right / len(data)


def fit(
    model: Any,
    answers: Answers,
    train: Images,
    val: Images,
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Trains `model` in place and leaves it at its best epoch on val (accuracy, then loss).

    AdamW with linear warm-up and cosine decay; the loss counts answer tokens alone.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = recipe.epochs * math.ceil(len(train) / recipe.batch_size)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(steps, recipe.warm_up))
    history: list[Epoch] = []
    best: dict[str, Tensor] = {}
    start = time.monotonic()
    for number in range(1, recipe.epochs + 1):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(train), generator=generator).split(recipe.batch_size):
            pixels = augmented(train.pixels[chosen], recipe.augment, generator)
            classes = train.classes[chosen]
            loss = _loss(answers.logits(model, pixels, classes), answers.targets[classes])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(chosen)
        val_loss, accuracy = evaluate(model, answers, val)
        epoch = Epoch(number, total / len(train), val_loss, accuracy, time.monotonic() - start)
        history.append(epoch)
        if best_epoch(history) is epoch:
            best = {name: weight.clone() for name, weight in model.state_dict().items()}
        if on_epoch:
            on_epoch(epoch)
    model.load_state_dict(best)
    return history


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    return max(history, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))


def _loss(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


def warm_cosine(steps: int, warm_up: float) -> Callable[[int], float]:
    """The factor on the learning rate at a step: linear up over a share of all, cosine to zero."""
    rise = max(1, round(steps * warm_up))
    return lambda step: min(1.0, (step + 1) / rise) * (1 + math.cos(math.pi * step / steps)) / 2
