"""Following: what is read behind the replies that a model gave.

Prompts and the beginnings of their replies are run once more, in one plain forward pass: a token's
states do not depend on what comes after it, so replies of several lengths go together.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from extract.answering import Prompted, Question, ReplyPlace, appended, places_of
from extract.models import Session
from extract.reading import Arrays, CellVectors, Offload, Reader, TokenLayout, Wanted
from warehouse.vocabulary import Cell


@dataclass(frozen=True)
class Taken:
    """Vectors on their way to the host from where a reader read them, and how tokens lie."""

    reader: Reader
    read: Callable[[], Arrays[int | Cell]]
    layouts: Mapping[Cell, TokenLayout]

    def vectors(self) -> CellVectors:
        return self.reader.arrived(self.read(), self.layouts)


class Watch:
    """A reader whose hooks stay registered from batch to batch, and the way to the host."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._hooks = ExitStack()
        self._reader: Reader | None = None
        self._arrive: Offload[int | Cell] = Offload(session.loaded.device)

    def reader(self, wanted: Wanted) -> Reader:
        """What takes these readouts of every batch; mostly that of the batch before."""
        if self._reader is None or list(self._reader.wanted) != list(wanted):
            self._hooks.close()
            self._reader = Reader(self._session.model, self._session.anatomy, wanted)
            self._hooks.enter_context(self._reader.attached())
        return self._reader

    def taken(self) -> Taken:
        """What the reader read of the newest batch."""
        assert self._reader is not None  # a batch was run
        read, layouts = self._reader.take()
        return Taken(self._reader, self._arrive.begin(read), layouts)

    def close(self) -> None:
        self._hooks.close()


def follow(
    session: Session, reader: Reader, prompted: Prompted, question: Question, said: Tensor
) -> Sequence[ReplyPlace]:
    """Have a reader read a batch's replies, given as token ids (n, tokens); where, is returned."""
    assert prompted.facts is not None  # a batch of images has a layout
    places = places_of(session, question, said.cpu().numpy())
    counts = [place.n_before for place in places]
    beginnings = said[:, : max(counts)].clamp(min=0)  # behind its end a reply may hold no token
    with reader.recording(prompted.facts.behind(counts), session.loaded.device):
        session.forward(appended(prompted.inputs, beginnings))
    return places
