"""Together: replies that several batches' prompts wait for, generated as those of one batch."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from extract.answering import AskedBatch, HeldPrompt, Question, joined, method_named
from extract.models import Session
from extract.running.clock import Stopwatch
from extract.running.results import Answer, LateReply, MissingReply
from extract.sharing import way_of
from warehouse.vocabulary import GENERATE

ENOUGH = 64
"""Samples whose replies go on together."""
MOST_BYTES = 2**30
"""The caches of all prompts that wait, on the device; beyond it none waits any longer."""


@dataclass(frozen=True)
class Waiting:
    """A batch's prompt, asked something that is answered together with other batches'."""

    asked: str
    question: Question
    names: Sequence[str]
    held: HeldPrompt

    @property
    def missing(self) -> list[MissingReply]:
        return [MissingReply(self.asked, name) for name in self.names]


class Together:
    """The prompts that wait, by what was asked and by which of them can be joined."""

    def __init__(self, session: Session, stopwatch: Stopwatch) -> None:
        self.session = session
        self.stopwatch = stopwatch
        self.is_open = True
        self._waiting: dict[tuple[str, int | None], list[Waiting]] = defaultdict(list)

    def add(self, one: Waiting) -> bool:
        """Let a prompt wait, if any may."""
        if self.is_open:
            self._waiting[one.asked, one.held.likeness].append(one)
        return self.is_open

    def replies(self, *, rest: bool = False) -> Iterator[LateReply]:
        """The replies of prompts that have waited long enough; with `rest`, of all. One without
        an answer is to be generated again, in a batch of its like.
        """
        held = sum(one.held.n_bytes for each in self._waiting.values() for one in each)
        for key, each in list(self._waiting.items()):
            if rest or sum(one.held.n for one in each) >= ENOUGH or held > MOST_BYTES:
                del self._waiting[key]
                yield from self._generated(each)

    def give_up(self) -> list[MissingReply]:
        """Let no prompt wait from here on, as memory is short; gives the replies now missing."""
        left = [reply for each in self._waiting.values() for one in each for reply in one.missing]
        self._waiting.clear()
        self.is_open = False
        return left

    def _generated(self, waiting: Sequence[Waiting]) -> Iterator[LateReply]:
        missing = [reply for one in waiting for reply in one.missing]
        names = [reply.sample_id for reply in missing]
        asked = AskedBatch(self.session, waiting[0].question, names)
        method = method_named(GENERATE)
        found: Sequence[dict[str, Any] | None] = [None] * len(names)
        try:
            with self.stopwatch.timing(GENERATE):
                prompted = joined(self.session, [one.held for one in waiting])
                said = method.run(asked, prompted)
                found = method.read(asked, said.cpu().numpy())
        except torch.OutOfMemoryError:
            self.is_open = False
        for reply, given in zip(missing, found, strict=True):
            way = way_of(reply.asked)
            yield reply, Answer(reply.sample_id, GENERATE, **given, way=way) if given else None
