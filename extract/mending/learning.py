"""Learning: the trainable parameters of a model take steps on train; val chooses the epoch."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from extract.mending.recipe import MendEpoch, begun_behind, best_epoch, fruitless_epochs
from extract.mending.school import School
from extract.running import Prepared
from extract.training import warm_cosine
from warehouse.errors import LayerhouseError, UsageError

WARM_UP = 0.1
"""The share of all steps over which the learning rate rises."""
BOLDER = 10.0
"""How much larger the steps are where the first epochs brought nothing."""


def learn(school: School, on_epoch: Callable[[MendEpoch], None]) -> tuple[int, list[MendEpoch]]:
    """Train what of the model asks for gradients, in place, and leave it at its best epoch.

    AdamW without weight decay, a warm-up over the first tenth and a cosine to zero, gradients of at
    most norm 1; trained parameters are fp32 and all others stay what they are, under autocast. What
    gets no gradient is not counted. Where the first epochs bring nothing and the recipe names no
    learning rate, the others begin anew with larger steps. Behind each epoch it is kept in
    `school.unfinished`, from where the same training goes on. Returns the number of trained
    parameters and the epochs.
    """
    recipe, course = school.recipe, course_of(school)
    course.take_up()
    for epoch in course.history:
        on_epoch(epoch)
    start = time.monotonic() - (course.history[-1].seconds if course.history else 0.0)
    order = random.Random(recipe.seed)
    for number in range(recipe.epochs + 1):
        chosen = order.sample(course.batches, len(course.batches)) if number else []
        if number < len(course.history):
            continue
        if course.is_over:
            break
        if course.is_fruitless:
            course.begin_anew()
        loss = course.pass_over(chosen, number) if number else None
        with autocast(school):
            marks = school.examine()
        seconds = school.peers.gathered(time.monotonic() - start)[0]
        epoch = MendEpoch(number, loss, *marks, seconds, course.rate if number else None)
        course.note(epoch)
        on_epoch(epoch)
    course.go_back()
    return course.n_parameters, course.history


def course_of(school: School) -> "Course":
    """A training that has not begun, of what of the model asks for gradients."""
    parameters = school.session.model.named_parameters()
    weights = {name: weight for name, weight in parameters if weight.requires_grad}
    for weight in weights.values():
        weight.data = weight.data.float()
    return Course(school, weights)


@dataclass
class Course:
    """A training on its way: what of it changes from step to step, and from epoch to epoch.

    `best` are the weights of the best epoch so far, `reached` the names of those that a gradient
    ever came to. `rate` is the largest step's, reached behind the epochs of number `begun_behind`.
    `usual` keeps summed gradients near the size of their mean.
    """

    school: School
    weights: dict[str, nn.Parameter]
    history: list[MendEpoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        recipe = self.school.recipe
        self.batches = range(len(self.school.train.batches))
        self.steps = len(self.batches[:: recipe.accumulate])
        self.usual = recipe.accumulate * recipe.batch_size
        self.begin(recipe.step_of(self.school.session.loaded.n_parameters), 0)

    def begin(self, rate: float, behind: int) -> None:
        """From the weights as they are, for the epochs that are left behind this one."""
        self.rate, self.begun_behind = rate, behind
        self.optimiser = torch.optim.AdamW(self.weights.values(), lr=rate, weight_decay=0.0)
        n_left = self.school.recipe.epochs - behind
        self.factor = warm_cosine(n_left * self.steps, WARM_UP)

    def begin_anew(self) -> None:
        """From the weights before training, with larger steps."""
        self._put_best()
        self.begin(BOLDER * self.rate, self.history[-1].number)

    @property
    def n_parameters(self) -> int:
        return sum(self.weights[name].numel() for name in self.reached)

    @property
    def is_fruitless(self) -> bool:
        """Val has stopped gaining."""
        return bool(self.history) and fruitless_epochs(self.history) >= self.school.recipe.patience

    @property
    def is_over(self) -> bool:
        """Val gains no more at any rate, or the minutes are over; one epoch is always learned."""
        if len(self.history) < 2:
            return False
        recipe, last = self.school.recipe, self.history[-1]
        if recipe.minutes is not None and last.seconds >= 60 * recipe.minutes:
            return True
        untouched = best_epoch(self.history) is self.history[0]
        again = untouched and recipe.learning_rate is None and not self.begun_behind
        return self.is_fruitless and not again

    def pass_over(self, order: list[int], number: int) -> float:
        """One pass over train, the epoch of this number; gives the mean loss."""
        accumulate = self.school.recipe.accumulate
        groups = [
            self.school.peers.share(order[start : start + accumulate])
            for start in range(0, len(order), accumulate)
        ]
        lessons = self.school.train.each([number for group in groups for number in group])
        total, seen = 0.0, 0
        with training(self.school, anew=self.school.recipe.checkpointing):
            for step, group in enumerate(groups, (number - 1 - self.begun_behind) * self.steps):
                n_tokens = 0
                for prepared, classes in islice(lessons, len(group)):
                    if prepared.sample_ids:
                        loss, n = self.learn_from(prepared, classes)
                        total, n_tokens = total + loss * n, n_tokens + n
                self.step(step, n_tokens)
                seen += n_tokens
        total, seen = map(sum, zip(*self.school.peers.gathered((total, seen)), strict=True))
        if not seen:
            raise LayerhouseError(
                f"no image of {self.school.job.dataset_id}'s train split could be read; "
                "`layerhouse extract` says of each why"
            )
        return total / seen

    def learn_from(self, prepared: Prepared, classes: Tensor) -> tuple[float, int]:
        """Add the gradient of a batch; gives its loss, and of how many tokens that is the mean.

        A batch weighs as its tokens, so that those of a step weigh alike however they are batched.
        """
        recipe, n_tokens = self.school.recipe, self.school.n_tokens(classes)
        try:
            with autocast(self.school):
                loss = self.school.loss(prepared, classes)
            _refuse_endless(self.school, loss)
            (loss * (n_tokens / self.usual)).backward()
        except torch.OutOfMemoryError as error:
            half = max(recipe.batch_size // 2, 1)
            raise LayerhouseError(
                f"a batch of {len(classes)} does not fit in the memory of {self.school.job.device} "
                f"while {self.school.job.model_id} is mended; --batch-size {half} --accumulate "
                f"{recipe.accumulate * recipe.batch_size // half} takes the same steps in less, "
                "--checkpointing in much less"
            ) from error
        return float(loss.item()), n_tokens

    def step(self, step: int, n_tokens: int) -> None:
        """Change the weights by the mean gradient of the tokens learned since the last step."""
        peers = self.school.peers
        peers.add_up(self.weights.values())
        self.reached |= {name for name, weight in self.weights.items() if weight.grad is not None}
        learned = sum(peers.gathered(n_tokens))
        for weight in self.weights.values():
            if weight.grad is not None and learned:
                weight.grad *= self.usual / learned
        nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self.factor(step)
        self.optimiser.step()
        self.optimiser.zero_grad()

    def note(self, epoch: MendEpoch) -> None:
        """An epoch is over: its weights may be the best, and all is kept."""
        self.history.append(epoch)
        if best_epoch(self.history) is epoch:
            self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        if self.school.unfinished is not None and not self.school.peers.rank:
            if epoch.number:  # what was kept since the last one is kept by somebody alive
                self.school.unfinished.refuse_other()
            told = {
                "history": [asdict(each) for each in self.history],
                "reached": sorted(self.reached),
            }
            self.school.unfinished.write(self._tensors(), told)

    def take_up(self) -> None:
        """Go to where the same training was kept, if it was."""
        kept = self.school.unfinished and self.school.unfinished.read()
        if not kept:
            return
        tensors, told = kept
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, inner = name.partition("/")
            parts.setdefault(part, {})[inner] = tensor
        shapes = {name: weight.shape for name, weight in self.weights.items()}
        if shapes != {name: weight.shape for name, weight in parts["weight"].items()}:
            return  # another release of peft has other parameters
        self.history = [MendEpoch(**epoch) for epoch in told["history"]]
        rate = self.history[-1].learning_rate
        self.begin(self.rate if rate is None else rate, begun_behind(self.history))
        self.reached = set(told["reached"])
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(parts["weight"][name])
        self.best = {
            name: parts["best"][name].to(weight.device) for name, weight in self.weights.items()
        }
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts.get("optimiser", {}).items():
            index, _, inner = name.partition("/")
            state.setdefault(int(index), {})[inner] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})

    def _tensors(self) -> dict[str, Tensor]:
        state = self.optimiser.state_dict()["state"]
        return {
            **{f"weight/{name}": weight.detach() for name, weight in self.weights.items()},
            **{f"best/{name}": weight for name, weight in self.best.items()},
            **{f"optimiser/{i}/{name}": t for i, held in state.items() for name, t in held.items()},
        }

    def go_back(self) -> None:
        """To the weights of the best epoch, for good."""
        self._put_best()
        for weight in self.weights.values():
            weight.requires_grad_(False)

    @torch.no_grad()
    def _put_best(self) -> None:
        for name, weight in self.weights.items():
            weight.copy_(self.best[name])


def _refuse_endless(school: School, loss: Any) -> None:
    if not torch.isfinite(loss):
        raise LayerhouseError(
            f"the loss of {school.job.model_id} is no finite number while it is mended; try "
            "--dtype float32 or a smaller --learning-rate"
        )


def autocast(school: School) -> AbstractContextManager[Any]:
    loaded = school.session.loaded
    if loaded.dtype == torch.float32:
        return nullcontext()
    return torch.autocast(loaded.device.type, loaded.dtype)


@contextmanager
def training(school: School, *, anew: bool) -> Iterator[None]:
    """Activations are computed anew for gradients if asked for; dropout stays off."""
    model = school.session.model
    if not anew:
        yield
        return
    if not can_compute_anew(school):
        raise UsageError(
            f"transformers cannot compute the activations of {school.session.anatomy.model_type} "
            "anew; leave out --checkpointing"
        )
    model.enable_input_require_grads()
    # What transformers calls "activation" checkpointing from 5.23 on.
    what = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{what}_checkpointing_enable")({"use_reentrant": False})
    for layer in _layers(model):
        _compute_anew(layer)
    try:
        yield
    finally:
        getattr(model, f"{what}_checkpointing_disable")()
        model.disable_input_require_grads()
        model.eval()


def can_compute_anew(school: School) -> bool:
    model = school.session.model
    return bool(model.supports_gradient_checkpointing and _layers(model))


def _layers(model: nn.Module) -> list[nn.Module]:
    return [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]


def _compute_anew(layer: Any) -> None:
    """transformers asks that a layer is trained, which would turn on its dropout: it is while it is
    called, and no longer while it computes."""
    checkpoint = layer._gradient_checkpointing_func

    def checkpointed(forward: Callable[..., Any], *given: Any) -> Any:
        def undropped(*given: Any) -> Any:
            layer.training = False
            try:
                return forward(*given)
            finally:
                layer.training = True

        return checkpoint(undropped, *given)

    layer.training, layer._gradient_checkpointing_func = True, checkpointed
