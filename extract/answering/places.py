"""Places: where in its reply a model names the class that it answers.

A reply that reasons names classes on the way; what counts is the part that is read for its answer.
The place is behind the last token before that name begins, so that nothing of the answer was said
there yet.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.answering.methods import Question
from extract.models import Session
from extract.replies import Mention, names_in, parse_reply


@dataclass(frozen=True)
class ReplyPlace:
    """Behind how many tokens of a reply it is read, and whether there a class' name begins.

    Where it names none, as where it was cut before, it is read behind all of its tokens.
    """

    n_before: int
    names_class: bool


def places_of(session: Session, question: Question, said: NDArray[np.int64]) -> list[ReplyPlace]:
    """Where replies are read, from their token ids (n, tokens)."""
    ends = [(row, session.end_of(row)) for row in said.tolist()]
    return [_Reply(session, row[:end], question, end is None).place() for row, end in ends]


@dataclass(frozen=True)
class _Reply:
    """The tokens of a reply without the one that ends it, if any does, and what they answer."""

    session: Session
    tokens: Sequence[int]
    question: Question
    cut: bool

    def place(self) -> ReplyPlace:
        whole = self.question.opening + self.text(len(self.tokens))
        classes, letters = self.question.classes, self.question.letters
        answered = parse_reply(whole, classes, letters=letters, cut=self.cut)
        if answered is not None:
            # A denial answers with a class that it does not name: then any that it does.
            for meant in ((answered,), range(len(self.question.classes))):
                if self.names(len(self.tokens), meant):
                    return ReplyPlace(self._before(meant), True)
        return ReplyPlace(len(self.tokens), False)

    def text(self, n: int) -> str:
        """What the first `n` tokens say."""
        return self.session.raw_text(self.tokens[:n])

    def names(self, n: int, meant: Sequence[int]) -> list[Mention]:
        """Where the first `n` tokens name these classes, in the part that counts."""
        reply, letters = self.question.opening + self.text(n), self.question.letters
        named = names_in(reply, self.question.classes, letters=letters)
        return [mention for mention in named if mention.index in meant]

    def _before(self, meant: Sequence[int]) -> int:
        """How many tokens stand before the first of these names begins."""
        end, text, said = self._first_named(meant)
        at = text.casefold().rfind(said.casefold())
        start = at if at >= 0 else len(text) - len(said)  # it is spelled in another way
        return bisect_left(range(end), True, key=lambda n: len(self.text(n)) > start) - 1

    def _first_named(self, meant: Sequence[int]) -> tuple[int, str, str]:
        """After how many tokens the first name is said, what all of these say, and the name.

        Sought from the end backwards, since options that a reply repeats are names only until they
        are all there.
        """
        known, back = len(self.tokens), 1
        while back < known and self.names(known - back, meant):
            known, back = known - back, 2 * back
        before = max(known - back, 0)
        end = bisect_left(range(before, known), True, key=lambda n: bool(self.names(n, meant)))
        end += before
        return end, self.text(end), self.names(end, meant)[-1].said
