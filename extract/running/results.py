"""Results: what came of a batch, and of a range of samples, collected batch by batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from extract.answering import Draw, ReplyPlace
from extract.reading import CellVectors, JoinedVectors
from extract.sharing import Range, Way
from warehouse.vocabulary import LENGTH


@dataclass(frozen=True)
class Answer:
    """A model's answer to one sample: by likelihood with those of the classes, in log, or generated
    with its text, raw and as a person reads it, how many tokens it took and why it ended.
    `predicted` is the index of a class, None for a reply that names none; `way` is how it was asked
    for, None for the run's own.

    Log-likelihoods also per token and as `pmi`, less those without an image; `end` is the token
    that they end with. Scores that count no end have none of these.

    Where several replies were drawn, `draws`, it is that of the one that stands for them.
    """

    sample_id: str
    method: str
    predicted: int | None
    logprobs: Sequence[float] | None = None
    per_token: Sequence[float] | None = None
    pmi: Sequence[float] | None = None
    end: str | None = None
    text: str | None = None
    raw: str | None = None
    n_tokens: int | None = None
    finish: str | None = None
    way: Way | None = None
    draws: Sequence[Draw] = ()

    @property
    def is_cut(self) -> bool:
        """Whether it rests on a reply that was cut, or on several of which one was."""
        return LENGTH in (self.finish, *(draw.finish for draw in self.draws))


class MissingReply(NamedTuple):
    """A reply that is still missing: to what was asked, of which sample."""

    asked: str
    sample_id: str


LateReply = tuple[MissingReply, Answer | None]
"""A reply that was missing; without an answer it is to be generated again."""


@dataclass(frozen=True)
class BatchResult:
    """What the model showed of a batch; the vectors are in the order of `sample_ids`.

    `unfinished` are replies that are left to another batch, `awaited` those that come later with
    others'; `places` say where replies were read, by sample, if they were.
    """

    sample_ids: Sequence[str]
    vectors: CellVectors
    answers: Sequence[Answer]
    unfinished: Sequence[MissingReply] = ()
    awaited: Sequence[MissingReply] = ()
    places: Mapping[str, ReplyPlace] = field(default_factory=dict)


@dataclass
class RangeResult:
    """What came of a range so far; `rejected` says of its samples why they could not be used,
    `late` are the replies that came after their batches.
    """

    range: Range
    batches: list[BatchResult] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    late: list[Answer] = field(default_factory=list)

    def add(self, batch: BatchResult) -> None:
        self.batches.append(batch)

    def reject(self, rejected: Mapping[str, str]) -> None:
        self.rejected.update(rejected)

    @property
    def sample_ids(self) -> list[str]:
        """The samples that were run, in the order they came in."""
        return [name for batch in self.batches for name in batch.sample_ids]

    @property
    def answers(self) -> list[Answer]:
        return [answer for batch in self.batches for answer in batch.answers] + self.late

    @property
    def places(self) -> dict[str, ReplyPlace]:
        """Where replies were read, by sample."""
        return {name: place for batch in self.batches for name, place in batch.places.items()}

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the range is still to come."""
        left = sum(len(batch.unfinished) + len(batch.awaited) for batch in self.batches)
        seen = len(self.sample_ids) + len(self.rejected)
        return seen == self.range.n and left == len(self.late)

    def take_vectors(self) -> JoinedVectors:
        """All vectors of the range, ordered by sample id; the range lets go of them."""
        order = np.argsort(np.array(self.sample_ids, dtype=object))
        parts = [batch.vectors for batch in self.batches]
        self.batches = [replace(batch, vectors=CellVectors({}, {})) for batch in self.batches]
        return JoinedVectors(parts, order)
