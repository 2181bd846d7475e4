"""Learning: the trainable parameters of a model take steps on train; val chooses the epoch."""

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from extract.mending.recipe import MendEpoch, best_epoch
from extract.mending.school import School
from extract.training import warm_cosine
from warehouse.errors import LayerhouseError

WARM_UP = 0.1
"""The share of all steps over which the learning rate rises."""


def learn(school: School, on_epoch: Callable[[MendEpoch], None]) -> tuple[int, list[MendEpoch]]:
    """Train what of the model asks for gradients, in place, and leave it at its best epoch.

    AdamW without weight decay, a warm-up over the first tenth and a cosine to zero, gradients of at
    most norm 1; trained parameters are fp32 and all others stay what they are, under autocast. What
    gets no gradient is not counted. Returns the number of trained parameters and the epochs.
    """
    recipe, model = school.recipe, school.session.model
    weights = {name: w for name, w in model.named_parameters() if w.requires_grad}
    for weight in weights.values():
        weight.data = weight.data.float()
    n_batches = len(school.train.batches)
    steps = recipe.epochs * math.ceil(n_batches / recipe.accumulate)
    optimiser = torch.optim.AdamW(
        weights.values(), lr=recipe.step_of(school.session.loaded.n_parameters), weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_cosine(steps, WARM_UP))
    start = time.monotonic()
    history = [MendEpoch(0, None, *_examined(school), time.monotonic() - start)]
    on_epoch(history[0])
    best = {name: weight.detach().clone() for name, weight in weights.items()}
    reached: set[str] = set()
    order = random.Random(recipe.seed)
    for number in range(1, recipe.epochs + 1):
        chosen = order.sample(range(n_batches), n_batches)
        with _training(school):
            loss = _steps(school, chosen, optimiser, schedule, weights, reached)
        epoch = MendEpoch(number, loss, *_examined(school), time.monotonic() - start)
        history.append(epoch)
        on_epoch(epoch)
        if best_epoch(history) is epoch:
            best = {name: weight.detach().clone() for name, weight in weights.items()}
        if _is_over(school, history):
            break
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(best[name])
            weight.requires_grad_(False)
    return sum(weights[name].numel() for name in reached), history


def _steps(
    school: School,
    order: list[int],
    optimiser: Any,
    schedule: Any,
    weights: dict[str, nn.Parameter],
    reached: set[str],
) -> float:
    """One pass over train; notes which weights got a gradient, and gives the mean loss."""
    total, seen = 0.0, 0
    for place, (prepared, classes) in enumerate(school.train(order), 1):
        with _autocast(school):
            loss = school.loss(prepared, classes)
        _refuse_endless(school, loss)
        (loss / school.recipe.accumulate).backward()
        total, seen = total + loss.item() * len(classes), seen + len(classes)
        if place % school.recipe.accumulate == 0 or place == len(order):
            reached |= {name for name, weight in weights.items() if weight.grad is not None}
            nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    return total / seen


def _examined(school: School) -> tuple[float, float]:
    with _autocast(school):
        return school.examine()


def _is_over(school: School, history: list[MendEpoch]) -> bool:
    recipe, last = school.recipe, history[-1]
    late = recipe.minutes is not None and last.seconds >= 60 * recipe.minutes
    return late or last.number - best_epoch(history).number >= recipe.patience


def _refuse_endless(school: School, loss: Any) -> None:
    if not torch.isfinite(loss):
        raise LayerhouseError(
            f"the loss of {school.job.model_id} is no finite number while it is mended; try "
            "--dtype float32 or a smaller --learning-rate"
        )


def _autocast(school: School) -> AbstractContextManager[Any]:
    loaded = school.session.loaded
    if loaded.dtype == torch.float32:
        return nullcontext()
    return torch.autocast(loaded.device.type, loaded.dtype)


@contextmanager
def _training(school: School) -> Iterator[None]:
    """Activations are computed anew for gradients if asked for; dropout stays off otherwise."""
    model = school.session.model
    if not school.recipe.checkpointing:
        yield
        return
    model.enable_input_require_grads()
    # What transformers calls "activation" checkpointing from 5.23 on.
    what = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{what}_checkpointing_enable")({"use_reentrant": False})
    model.train()
    try:
        yield
    finally:
        getattr(model, f"{what}_checkpointing_disable")()
        model.eval()
