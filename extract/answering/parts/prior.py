"""prior: one number for each class, added to the log-likelihood of its phrase.

What a model favours whatever it is shown is evened out, as in contextual and batch calibration
(Zhao et al. 2021; Zhou et al. 2023), here fitted on labelled samples: the likelihood of the right
answers is concave in these numbers, and a ridge keeps what few samples do not tell.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from extract.answering.fitting import RIDGES, fit
from extract.answering.part import AnswerPart, Lesson
from warehouse.vocabulary import ANSWER


class Prior(AnswerPart):
    name = "prior"
    stage = ANSWER
    kept = ("added",)

    @classmethod
    def counted(cls, n_classes: int, widths: Sequence[int]) -> int:  # noqa: ARG003
        return n_classes

    @classmethod
    def fits(cls, lesson: Lesson) -> Iterator[tuple[AnswerPart, float]]:
        added = torch.zeros(lesson.n_classes)
        for ridge in RIDGES:
            added, loss = fit(lambda more: lesson.given + more, added, lesson, ridge)
            yield cls({"added": added}), loss

    def logprobs(self, given: Tensor) -> Tensor:
        return torch.log_softmax(given + self.numbers["added"], dim=1)
