"""Ways of answering, one object for each: what runs on the device, and what is read of it after.

One of ours has its name in `warehouse.vocabulary.METHODS` and its object in `ANSWER_METHODS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from extract.answering.continuing import Prompted
from extract.answering.generating import Reply, generate, replies_of
from extract.answering.names import ClassNames
from extract.answering.phrases import ended
from extract.answering.replies import parse_reply
from extract.answering.scoring import score_phrases
from extract.models import Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import GENERATE, LIKELIHOOD


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    `phrases` (the tokens of what names each class) are in class order, `classes` in the order in
    which the question lists them, `shown` (the same where it is None); `letters` tells whether it
    lists them under letters; `opening` is what the prompt itself begins the reply with, such as a
    reasoning mark that it leaves open; a reply is cut after `max_new_tokens`; a batch that is
    `hurried` leaves its longest replies to a batch of such.

    Likelihoods end with `end_token`, `end` as text; that is empty where the model has none and None
    where scores go on without one (`counts_ends`). `unseeing` are the tokens of the prompt without
    an image, `prior` the log-likelihoods behind it once they are known.
    """

    classes: Sequence[ClassNames]
    phrases: Sequence[Sequence[int]]
    letters: bool
    max_new_tokens: int
    opening: str = ""
    hurried: bool = False
    shown: Sequence[int] | None = None
    end_token: int | None = None
    end: str | None = None
    unseeing: Sequence[int] = ()
    prior: Sequence[float] | None = None

    @cached_property
    def scored(self) -> list[list[int]]:
        """The phrases as likelihoods take them."""
        return ended(self.phrases, self.end_token)


class AnswerMethod(ABC):
    """One way for a model to say what a sample is."""

    name: str

    @abstractmethod
    def run(self, session: Session, prompted: Prompted, question: Question) -> Tensor:
        """What the model says of each sample, (n, …) on the device."""

    @abstractmethod
    def read(
        self,
        session: Session,
        question: Question,
        said: NDArray[Any],
        sample_ids: Sequence[str],
    ) -> list[dict[str, Any] | None]:
        """Each sample's class index (`predicted`, None where none is named) and what it rests on,
        from what `run` gave, (n, …) on the host; None for a sample that was left to another batch.
        """


class Likelihood(AnswerMethod):
    """The class whose phrase is the likeliest reply."""

    name = LIKELIHOOD

    def run(self, session: Session, prompted: Prompted, question: Question) -> Tensor:
        """Log-likelihoods fp32 (n, classes)."""
        return score_phrases(session, prompted, question.scored)

    def read(
        self,
        session: Session,
        question: Question,
        said: NDArray[Any],
        sample_ids: Sequence[str],
    ) -> list[dict[str, Any] | None]:
        """From log-likelihoods fp32 (n, classes).

        Raises LayerhouseError naming a sample whose likelihoods are not finite.
        """
        fine = np.isfinite(said).all(axis=1)
        if not fine.all():
            raise LayerhouseError(
                f"the label likelihoods of sample {sample_ids[int(np.argmin(fine))]} are not "
                "finite; try --dtype float32"
            )
        return [_scored(row, question) for row in said]


class Generation(AnswerMethod):
    """The class that the model's own reply names."""

    name = GENERATE

    def run(self, session: Session, prompted: Prompted, question: Question) -> Tensor:
        """Token ids (n, tokens). Uses up the prompt's cache."""
        return generate(session, prompted, question.max_new_tokens, question.hurried)

    def read(
        self,
        session: Session,
        question: Question,
        said: NDArray[Any],
        sample_ids: Sequence[str],
    ) -> list[dict[str, Any] | None]:
        """From token ids (n, tokens)."""
        replies = replies_of(session, said)
        return [None if reply is None else _read(reply, question) for reply in replies]


def _scored(logprobs: NDArray[np.float32], question: Question) -> dict[str, Any]:
    """Of equal scores the first class; views count how often that decides."""
    answer = {"predicted": int(logprobs.argmax()), "logprobs": logprobs.tolist()}
    if question.end is None:
        return answer
    lengths = np.array([len(phrase) for phrase in question.scored], dtype=np.float32)
    answer |= {"end": question.end, "per_token": (logprobs / lengths).tolist()}
    if question.prior is not None:
        answer["pmi"] = (logprobs - np.array(question.prior, dtype=np.float32)).tolist()
    return answer


def _read(reply: Reply, question: Question) -> dict[str, Any]:
    whole = question.opening + reply.raw
    predicted = parse_reply(whole, question.classes, letters=question.letters)
    if predicted is not None and question.shown is not None:
        predicted = question.shown[predicted]
    return {"predicted": predicted} | asdict(reply)


ANSWER_METHODS = {method.name: method for method in (Likelihood(), Generation())}
"""In the order in which they are run: generation uses up the prompt's cache."""
