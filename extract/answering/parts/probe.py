"""probe: a logistic regression on what the head is given at the last token of the prompt.

What a linear probe reads there becomes the answer. States are standardised with train's numbers,
which are folded into the weights; a ridge, chosen on val, keeps what few samples do not tell.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from extract.answering.fitting import RIDGES, fit
from extract.answering.part import AnswerPart, Lesson, Place
from extract.models import Inputs, Session
from warehouse.vocabulary import ANSWER

LEAST_DEVIATION = 1e-6
"""What varies less than this is the same for all samples, and counts nothing."""


class Probe(AnswerPart):
    name = "probe"
    stage = ANSWER
    kept = ("weights", "bias")

    @classmethod
    def places(cls, session: Session, inputs: Inputs) -> Sequence[Place]:  # noqa: ARG003
        head = session.model.get_submodule(session.anatomy.head)
        return (Place(session.anatomy.head, (int(head.weight.shape[1]),)),)

    @classmethod
    def counted(cls, n_classes: int, widths: Sequence[int]) -> int:
        return n_classes * (sum(widths) + 1)

    @classmethod
    def fits(cls, lesson: Lesson) -> Iterator[tuple[AnswerPart, float]]:
        mean, deviation = lesson.given.mean(dim=0), lesson.given.std(dim=0, correction=0)
        scale = torch.where(deviation > LEAST_DEVIATION, 1 / deviation, 0)
        standard = (lesson.given - mean) * scale
        inputs = torch.cat([standard, torch.ones(len(standard), 1)], dim=1)
        rows = torch.zeros(lesson.n_classes, inputs.shape[1])
        for ridge in RIDGES:
            rows, loss = fit(lambda tried: inputs @ tried.T, rows, lesson, ridge)
            weights = rows[:, :-1] * scale
            yield cls({"weights": weights, "bias": rows[:, -1] - weights @ mean}), loss

    def logprobs(self, given: Tensor) -> Tensor:
        scores = given @ self.numbers["weights"].T + self.numbers["bias"]
        return torch.log_softmax(scores, dim=1)
