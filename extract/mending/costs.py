"""What training repairs would cost, measured on one batch of each; nothing is kept or written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from extract.mending.job import MendJob, MendRequest, look_up_mend
from extract.mending.learning import Course, autocast, can_compute_anew, course_of, training
from extract.mending.repair import GradientRepair, Repair
from extract.mending.school import School, open_school, taught_samples
from extract.running import Prepared, leaving_a_core, open_model
from warehouse.lake import Lake

BYTES_TRAINED = 20
"""Of a trained parameter in fp32: itself, its gradient, two moments, and the best so far."""
BYTES_SAVED, BYTES_UNFINISHED = 4, 16
"""On the disk; and beside it while it is not done, without the gradient."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of memory: the model `at_rest`, what is `trained`, and what one batch keeps for its
    gradient, as it is (`kept`) and if activations are computed anew (`kept_anew`, with those of one
    block; None where transformers cannot). What is held in passing comes on top.
    """

    at_rest: int
    trained: int
    kept: int
    kept_anew: int | None

    @property
    def plain(self) -> int:
        return self.at_rest + self.trained + self.kept

    @property
    def checkpointed(self) -> int | None:
        return None if self.kept_anew is None else self.at_rest + self.trained + self.kept_anew


@dataclass(frozen=True)
class RepairOutlook:
    """What is left to do for a repair, at most: `n_epochs` of `n_steps` in all, in `seconds`.

    `n_parameters` is None where training alone tells. A repair that `was_there` costs nothing;
    `n_learned` epochs of one that was stopped are there. `footprint` is None where no steps are
    taken. `disk` are bytes of the folder, `disk_unfinished` those of what is kept until then.
    """

    title: str
    folder: Path
    was_there: bool
    n_parameters: int | None
    n_learned: int = 0
    n_epochs: int = 0
    n_steps: int = 0
    seconds: float = 0.0
    footprint: Footprint | None = None
    disk: int = 0
    disk_unfinished: int = 0


@dataclass(frozen=True)
class MendOutlook:
    """What training repairs of a model would cost, `n_measured` images a batch; under folds each
    is trained for each of them, of `n_train` and `n_val` images in the first."""

    model_id: str
    dataset_id: str
    device: str
    dtype: str
    n_train: int
    n_val: int
    n_measured: int
    n_folds: int | None
    repairs: tuple[RepairOutlook, ...]


def outlook(lake: Lake, request: MendRequest, repairs: Sequence[Repair]) -> MendOutlook:
    """What `mend` would do with this request for each of these. Raises as it does."""
    works = [look_up_mend(lake, request, repair) for repair in repairs]
    job, recipe = works[0].job, request.recipe
    found = {work.repair.title: _there(work) for work in works}
    left = {
        work.repair.title: _parts_left(lake, request, work)
        for work in works
        if found[work.repair.title] is None
    }
    taught = taught_samples(job, None if job.info.n_folds is None else 0)
    n_train, n_val = len(taught["train"][: recipe.images]), len(taught["val"])
    if left:
        due = [parts[0] for parts in left.values()]
        found |= {one.title: _times(one, left[one.title]) for one in _measured(due, request)}
    n_measured = min(recipe.batch_size, n_train) if left else 0
    known = job.model_id, job.dataset_id, job.device, job.dtype
    plans = tuple(one for one in found.values() if one is not None)
    return MendOutlook(*known, n_train, n_val, n_measured, job.info.n_folds, plans)


def _parts_left(lake: Lake, request: MendRequest, work: MendJob) -> list[MendJob]:
    """What of a repair is to be trained: itself, or a part for each fold that is not there yet.

    The record of the whole is missing where parts are there: then the last of them costs nothing.
    """
    if not work.is_by_fold:
        return [work]
    parts = [
        look_up_mend(lake, replace(request, fold=fold), work.repair)
        for fold in range(work.job.info.n_folds or 0)
    ]
    return [part for part in parts if part.found() is None] or parts[-1:]


def _times(one: RepairOutlook, parts: Sequence[MendJob]) -> RepairOutlook:
    """All parts of a repair cost what the first one does."""
    n, folder = len(parts), parts[0].folder
    if parts[0].fold is not None:
        folder = folder.parent
    return replace(
        one,
        folder=folder,
        n_epochs=n * one.n_epochs,
        n_steps=n * one.n_steps,
        seconds=n * one.seconds,
        disk=n * one.disk,
    )


def _there(work: MendJob) -> RepairOutlook | None:
    found = work.found()
    if found is None:
        return None
    return RepairOutlook(work.repair.title, work.folder, True, found.n_parameters)


def _measured(works: Sequence[MendJob], request: MendRequest) -> Iterator[RepairOutlook]:
    """One after the other on the same model, which is as it was behind each."""
    job = works[0].job
    opened = open_model(job)
    with leaving_a_core(job.device):
        school = open_school(job, opened, request.recipe, works[0].taught)
        examining = len(school.val.batches) * _timed(school, lambda: _examine(school))[0]
        for work in works:
            if isinstance(work.repair, GradientRepair):
                tuned = work.repair.attach(school)
                yield _stepwise(work, school, examining)
                tuned.unload()
            else:
                yield _at_once(work, school, examining)


def _at_once(work: MendJob, school: School, examining: float) -> RepairOutlook:
    """Of a repair that looks at train once."""
    first = next(school.train())
    reading = len(school.train.batches) * _timed(school, lambda: _read(school, *first))[0]
    n_parameters = work.repair.counted(school)
    return RepairOutlook(
        work.repair.title,
        work.folder,
        was_there=False,
        n_parameters=n_parameters,
        seconds=reading + work.repair.examinations * examining,
        disk=BYTES_SAVED * (n_parameters or 0),
    )


def _stepwise(work: MendJob, school: School, examining: float) -> RepairOutlook:
    recipe, course = school.recipe, course_of(school)
    prepared, classes = next(school.train())
    footprint = _footprint(course, prepared)

    def learned() -> None:
        course.learn_from(prepared, classes)

    with training(school, anew=recipe.checkpointing):
        batch, step = _timed(school, learned, lambda: course.step(0, school.n_tokens(classes)))
    epoch = len(course.batches) * batch + course.steps * step + examining
    kept = work.unfinished.read()
    n_told = len(kept[1]["history"]) if kept else 0
    n_epochs = recipe.epochs - max(n_told - 1, 0)
    seconds = n_epochs * epoch + (0.0 if n_told else examining)
    if recipe.minutes is not None:  # it ends behind the epoch in which they have passed
        seconds = min(seconds, 60 * recipe.minutes + epoch)
    return RepairOutlook(
        work.repair.title,
        work.folder,
        was_there=False,
        n_parameters=course.n_parameters,
        n_learned=max(n_told - 1, 0),
        n_epochs=n_epochs,
        n_steps=n_epochs * course.steps,
        seconds=seconds,
        footprint=footprint,
        disk=BYTES_SAVED * course.n_parameters,
        disk_unfinished=BYTES_UNFINISHED * course.n_parameters,
    )


def _footprint(course: Course, prepared: Prepared) -> Footprint:
    """Measured on one sample, and scaled to a batch as this one."""
    school, n = course.school, len(prepared.sample_ids)
    held = school.session.model.named_parameters()
    at_rest = sum(weight.nbytes for name, weight in held if name not in course.weights)
    lone = school.train.preparer(prepared.sample_ids[:1])
    classes = torch.tensor([school.train.classes[name] for name in lone.sample_ids])
    plain, _, _ = _kept(course, lone, classes, anew=False)
    kept_anew = None
    if can_compute_anew(school):
        outside, inputs, n_blocks = _kept(course, lone, classes, anew=True)
        kept_anew = n * (outside + inputs + max(plain - outside, 0) // max(n_blocks, 1))
    trained = BYTES_TRAINED * sum(weight.numel() for weight in course.weights.values())
    return Footprint(at_rest, trained, n * plain, kept_anew)


def _kept(
    course: Course, prepared: Prepared, classes: Tensor, *, anew: bool
) -> tuple[int, int, int]:
    """Bytes that autograd keeps for the gradient of a batch, those of what goes into blocks that
    are computed anew, and the number of these.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    model = course.school.session.model
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    saved: dict[int, int] = {}
    inputs: dict[int, int] = {}
    blocks: set[Any] = set()

    def note(tensor: Tensor, where: dict[int, int]) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            where[storage.data_ptr()] = storage.nbytes()
        return tensor

    def entered(block: Any, given: tuple[Any, ...]) -> None:
        if block not in blocks and given and given[0].requires_grad:
            blocks.add(block)
            note(given[0], inputs)

    keeping = torch.autograd.graph.saved_tensors_hooks(lambda t: note(t, saved), lambda t: t)
    with ExitStack() as hooks, keeping, training(course.school, anew=anew):
        for part in model.modules():
            if anew and isinstance(part, GradientCheckpointingLayer):
                hooks.enter_context(part.register_forward_pre_hook(entered))
        course.learn_from(prepared, classes)
    counted = sum(size for place, size in saved.items() if place not in inputs)
    return counted, sum(inputs.values()), len(blocks)


def _examine(school: School) -> None:
    with autocast(school):
        school.examine([0])


@torch.no_grad()
def _read(school: School, prepared: Prepared, classes: Tensor) -> None:
    school.logits(prepared, classes)


def _timed(school: School, *parts: Callable[[], object]) -> list[float]:
    """Seconds of each of these the second time: the first one warms up."""
    device = school.session.loaded.device
    for _ in range(2):
        seconds = []
        for part in parts:
            started = perf_counter()
            part()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(perf_counter() - started)
    return seconds
