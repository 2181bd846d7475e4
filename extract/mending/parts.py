"""Part repairs: what scores classes is fitted on train, chosen on val; no weight is changed."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from extract.answering import AnswerPart, Lesson, Listener, Prompted, cache_of
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

    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        session, start = school.session, time.monotonic()
        inputs = session.on_device(session.encode([school.opened.image]))
        listener = Listener(session, self.part.places(session, inputs))
        if not listener.places and not school.job.counts_ends:
            raise LayerhouseError(
                f"the likelihoods of {school.job.model_id} are of an earlier version, which "
                f"counted no end of a reply, and {self.title} would meet others; mend it in "
                "another lake"
            )
        lessons = self._wanted(school)
        given, said, truth = _heard(school, school.val, listener, is_scored=True)

        def marked(logprobs: Tensor) -> tuple[float, float]:
            return marks(logprobs.numpy(), truth.numpy(), school.job.info.score)

        history = [MendEpoch(0, None, *marked(said), time.monotonic() - start)]
        on_epoch(history[0])
        taught, _, classes = _heard(school, lessons, listener, is_scored=not listener.places)
        lesson = Lesson(
            taught, classes, school.weights[classes], len(school.targets), listener.widths
        )
        best: AnswerPart | None = None
        for number, (part, loss) in enumerate(self.part.fits(lesson), 1):
            seconds = time.monotonic() - start
            history.append(MendEpoch(number, loss, *marked(part.logprobs(given)), seconds))
            on_epoch(history[-1])
            best = part if best_epoch(history[1:]) is history[-1] else best
        assert best is not None  # some are always tried
        listener.close()
        chosen = best

        def save(folder: Path) -> None:
            chosen.save(folder / ANSWER_PART, school.job.phrases)

        return TrainedRepair(save, chosen.n_parameters, history, lessons.n)

    def _wanted(self, school: School) -> Lessons:
        """The lessons of train that the part learns from, in as large batches."""
        train = school.train
        names = [name for batch in train.batches for name in batch]
        wanted = [names[place] for place in self.part.wanted([train.classes[n] for n in names])]
        size = max(map(len, train.batches))
        batches = [wanted[first : first + size] for first in range(0, len(wanted), size)]
        return Lessons(train.preparer, train.classes, batches)


def _heard(
    school: School, lessons: Lessons, listener: Listener, *, is_scored: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What a part is given of each sample [n, …], the likelihoods of its classes' phrases
    [n, classes] if they are scored, else nothing, and its class [n]; on the CPU.
    """
    found = list(_batches(school, lessons, listener, is_scored=is_scored))
    given, said, classes = (torch.cat(part) for part in zip(*found, strict=True))
    return given if listener.places else said, said, classes


@torch.no_grad()
def _batches(
    school: School, lessons: Lessons, listener: Listener, *, is_scored: bool
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    session, question = school.session, replace(school.opened.questions[None], part=None)
    for prepared, classes in lessons():
        inputs = session.on_device(prepared.inputs)
        keep = is_scored and session.continues
        output = session.forward(inputs, keep_cache=keep)
        given = listener.take().cpu() if listener.places else torch.empty(0)
        said = torch.empty(0)
        if is_scored:
            cache = cache_of(output) if keep else None
            facts = session.facts(prepared.inputs)
            prompted = Prompted(inputs, session.last_logits(output), cache, facts)
            said = question.scores(session, prompted).cpu()
        # Tensors of inference mode cannot be learned from.
        yield given.clone(), said.clone(), classes
