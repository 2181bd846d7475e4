"""Ways of answering, one object for each: what runs on the device, and what is read of it after.

One of ours has its name in `warehouse.vocabulary.METHODS` and its object in `ANSWER_METHODS`; that
of sampled replies says how many are drawn, and how.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.answering.continuing import Prompted
from extract.answering.generating import Reply, generate, refuse_broken, replies_of, sample
from extract.answering.part import WorkingPart
from extract.answering.phrases import ended
from extract.answering.sampling import seed_of, standing
from extract.answering.scoring import refuse_not_finite, score_phrases
from extract.models import Session
from extract.replies import ClassNames, parse_reply
from warehouse.vocabulary import GENERATE, LENGTH, LIKELIHOOD, SAMPLED


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
    an image, `prior` the log-likelihoods behind it once they are known; `part` scores the classes
    in the place of their phrases, if the model has one.
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
    part: WorkingPart | None = None

    @cached_property
    def scored(self) -> list[list[int]]:
        """The phrases as likelihoods take them."""
        return ended(self.phrases, self.end_token)

    def scores(self, session: Session, prompted: Prompted) -> Tensor:
        """How likely each class is as the answer, in log: fp32 (n, classes), on the device; right
        behind the forward pass over the prompts.
        """
        if self.part is not None and self.part.listens:
            return self.part.scores(None, prompted.n)
        likelihoods = score_phrases(session, prompted, self.scored)
        return likelihoods if self.part is None else self.part.scores(likelihoods, prompted.n)


@dataclass(frozen=True)
class AskedBatch:
    """The samples of a batch, the question about them, and the model that is asked."""

    session: Session
    question: Question
    sample_ids: Sequence[str]


class AnswerMethod(ABC):
    """One way for a model to say what a sample is."""

    name: str

    @abstractmethod
    def run(self, asked: AskedBatch, prompted: Prompted) -> Tensor:
        """What the model says of each sample, (n, …) on the device."""

    @abstractmethod
    def read(self, asked: AskedBatch, said: NDArray[Any]) -> list[dict[str, Any] | None]:
        """Each sample's class index (`predicted`, None where none is named) and what it rests on,
        from what `run` gave, (n, …) on the host; None for a sample that was left to another batch.
        """


class Likelihood(AnswerMethod):
    """The class whose phrase is the likeliest reply, or that the model's part finds likeliest."""

    name = LIKELIHOOD

    def run(self, asked: AskedBatch, prompted: Prompted) -> Tensor:
        """Log-likelihoods fp32 (n, classes)."""
        return asked.question.scores(asked.session, prompted)

    def read(self, asked: AskedBatch, said: NDArray[Any]) -> list[dict[str, Any] | None]:
        """From log-likelihoods fp32 (n, classes).

        Raises LayerhouseError naming a sample whose likelihoods are not finite.
        """
        refuse_not_finite(asked.session, said, asked.sample_ids)
        return [_scored(row, asked.question) for row in said]


class Generation(AnswerMethod):
    """The class that the model's own reply names."""

    name = GENERATE

    def run(self, asked: AskedBatch, prompted: Prompted) -> Tensor:
        """Token ids (n, tokens). Uses up the prompt's cache."""
        question = asked.question
        return generate(asked.session, prompted, question.max_new_tokens, question.hurried)

    def read(self, asked: AskedBatch, said: NDArray[Any]) -> list[dict[str, Any] | None]:
        """From token ids (n, tokens).

        Raises LayerhouseError naming a sample whose logits are not finite.
        """
        refuse_broken(asked.session, said, asked.sample_ids)
        replies = replies_of(asked.session, said)
        return [None if reply is None else _read(reply, asked.question) for reply in replies]


@dataclass(frozen=True)
class Draw:
    """One of several replies to the same question, with the seed that it was drawn by."""

    seed: int
    predicted: int | None
    text: str
    raw: str
    n_tokens: int
    finish: str


@dataclass(frozen=True)
class Sampling(AnswerMethod):
    """The class that most of several replies name, drawn at a temperature; of classes that equally
    many name, the one that was drawn first. None where more replies were cut than name any class.
    """

    n_draws: int
    temperature: float

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{SAMPLED}{self.n_draws}x{self.temperature}"

    @classmethod
    def named(cls, name: str) -> "Sampling":
        n_draws, _, temperature = name.removeprefix(SAMPLED).partition("x")
        return cls(int(n_draws), float(temperature))

    def run(self, asked: AskedBatch, prompted: Prompted) -> Tensor:
        """Token ids (n, draws, tokens)."""
        seeds = torch.tensor([self._seeds(name) for name in asked.sample_ids])
        seeds, most = seeds.to(prompted.logits.device), asked.question.max_new_tokens
        return sample(asked.session, prompted, most, seeds, self.temperature)

    def read(self, asked: AskedBatch, said: NDArray[Any]) -> list[dict[str, Any] | None]:
        """From token ids (n, draws, tokens).

        Raises LayerhouseError naming a sample whose logits are not finite.
        """
        refuse_broken(asked.session, said, asked.sample_ids)
        found: list[dict[str, Any] | None] = []
        for name, tokens in zip(asked.sample_ids, said, strict=True):
            replies = filter(None, replies_of(asked.session, tokens))
            drawn = zip(self._seeds(name), replies, strict=True)
            found.append(_voted([Draw(s, **_read(reply, asked.question)) for s, reply in drawn]))
        return found

    def _seeds(self, sample_id: str) -> list[int]:
        return [seed_of(sample_id, draw) for draw in range(self.n_draws)]


def _voted(draws: Sequence[Draw]) -> dict[str, Any]:
    """The answer of several draws: the reply that stands for them."""
    shown = asdict(draws[standing([(draw.predicted, draw.finish) for draw in draws])])
    del shown["seed"]
    return shown | {"draws": tuple(draws)}


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
    cut = reply.finish == LENGTH
    predicted = parse_reply(whole, question.classes, letters=question.letters, cut=cut)
    if predicted is not None and question.shown is not None:
        predicted = question.shown[predicted]
    return {"predicted": predicted} | asdict(reply)


ANSWER_METHODS = {method.name: method for method in (Likelihood(), Generation())}


def method_named(name: str) -> AnswerMethod:
    """The object of one of our ways of answering."""
    return Sampling.named(name) if name.startswith(SAMPLED) else ANSWER_METHODS[name]


def run_order(names: Iterable[str]) -> list[str]:
    """Ways of answering in the order in which they run: generation uses up the prompt's cache."""
    return sorted(names, key=lambda name: name == GENERATE)
