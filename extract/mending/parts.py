"""Part repairs: what scores classes is fitted on train, chosen on val; no weight is changed."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from extract.answering import AnswerPart, Lesson, Listener, Place, run_prompts
from extract.mending.recipe import MendEpoch, best_epoch
from extract.mending.repair import OnEpoch, Repair, TrainedRepair
from extract.mending.school import Lessons, School, marks
from extract.models import ANSWER_PART
from warehouse.errors import LayerhouseError


class PartRepair(Repair):
    """Any part as the repair of its stage; each that is tried is an epoch."""

    needs_peft = False

    def __init__(self, part: type[AnswerPart]) -> None:
        self.part = part
        self.name, self.stage = part.name, part.stage  # type: ignore[misc]

    def counted(self, school: School) -> int | None:
        widths = [width for place in self._places(school) for width in place.widths]
        return self.part.counted(len(school.targets), widths)

    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        session, start = school.session, time.monotonic()
        listener = Listener(session, self._places(school))
        if not listener.places and not school.job.counts_ends:
            raise LayerhouseError(
                f"the likelihoods of {school.job.model_id} are of an earlier version, which "
                f"counted no end of a reply, and {self.title} would meet others; mend it in "
                "another lake"
            )
        lessons = self._wanted(school)
        heard = list(_heard(school, lessons, listener, is_scored=not listener.places))
        given, likelihoods, classes = (torch.cat(part) for part in zip(*heard, strict=True))
        taught = given if listener.places else likelihoods
        if not taught.isfinite().all():
            raise LayerhouseError(
                f"{self.title} learns from numbers of {school.job.model_id} that are not finite; "
                f"{session.loaded.remedy}"
            )
        weights, n_classes = school.weights[classes], len(school.targets)
        lesson = Lesson(taught, classes, weights, n_classes, listener.widths)
        parts, losses = zip(*self.part.fits(lesson), strict=True)
        history = [
            MendEpoch(number, loss, *told, time.monotonic() - start)
            for number, (loss, told) in enumerate(
                zip((None, *losses), _examined(school, listener, parts), strict=True)
            )
        ]
        for epoch in history:
            on_epoch(epoch)
        listener.close()
        chosen = parts[best_epoch(history[1:]).number - 1]

        def save(folder: Path) -> None:
            chosen.save(folder / ANSWER_PART, school.job.phrases)

        return TrainedRepair(save, chosen.n_parameters, history, lessons.n)

    def _places(self, school: School) -> Sequence[Place]:
        session = school.session
        inputs = session.on_device(session.encode([school.opened.image]))
        return self.part.places(session, inputs)

    def _wanted(self, school: School) -> Lessons:
        """The lessons of train that the part learns from, in as large batches."""
        train = school.train
        names = [name for batch in train.batches for name in batch]
        wanted = [names[place] for place in self.part.wanted([train.classes[n] for n in names])]
        size = max(map(len, train.batches))
        batches = [wanted[first : first + size] for first in range(0, len(wanted), size)]
        return Lessons(train.preparer, train.classes, batches)


def _examined(
    school: School, listener: Listener, parts: Sequence[AnswerPart]
) -> list[tuple[float, float]]:
    """Score and log loss on val of the classes' likelihoods, and of what each part makes of it."""
    said: list[list[Tensor]] = [[] for _ in range(1 + len(parts))]
    truth = []
    for given, likelihoods, classes in _heard(school, school.val, listener, is_scored=True):
        made = [part.logprobs(given if listener.places else likelihoods) for part in parts]
        for found, logprobs in zip(said, (likelihoods, *made), strict=True):
            found.append(logprobs)
        truth.append(classes)
    told = torch.cat(truth).numpy()
    return [marks(torch.cat(found).numpy(), told, school.job.info.score) for found in said]


@torch.no_grad()
def _heard(
    school: School, lessons: Lessons, listener: Listener, *, is_scored: bool
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each batch what is listened to [n, widths], the likelihoods of its classes' phrases
    [n, classes] if they are scored, each nothing otherwise, and its classes [n]; on the CPU.
    """
    session, question = school.session, replace(school.opened.questions[None], part=None)
    for prepared, classes in lessons():
        inputs, facts = session.on_device(prepared.inputs), session.facts(prepared.inputs)
        prompted = run_prompts(session, inputs, facts, keep_cache=is_scored)
        given = listener.take().cpu() if listener.places else torch.empty(0)
        said = question.scores(session, prompted).cpu() if is_scored else torch.empty(0)
        # Tensors of inference mode cannot be learned from.
        yield given.clone(), said.clone(), classes
