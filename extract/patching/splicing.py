"""Splicing: states taken from a running model and put into one, at loci that are named beforehand.

Its hooks act behind those of faults where they are registered before them, as faults' hooks are put
in front of all others: what is taken is what a fault has left, and what is put stands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor

from extract.anatomy import BatchFacts, Locus
from extract.faults import Edit, editing
from extract.models import Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import BOTH_PATCH, IMAGE_PATCH, LAST_PATCH, LLM

States = Mapping[tuple[int, int], Tensor]
"""By part of the locus and number of the sample its states there (rows, width): of the decoder all
of its prompt, of what enters it the image tokens, of the tower all that belongs to the image."""

Change = Callable[[Tensor, int, int], Tensor]
"""(a donor's states, number of the sample, part of the locus) → what is put in their place."""


class Splice:
    """Takes and puts states at some loci of a model, while its hooks are registered."""

    def __init__(self, session: Session, loci: Sequence[Locus]) -> None:
        self.session = session
        self.loci = tuple(loci)
        self._facts: BatchFacts | None = None
        self._edits: Mapping[str, Edit] = {}

    @contextmanager
    def attached(self) -> Iterator["Splice"]:
        """Keep the hooks registered for the length of a `with` block."""
        with ExitStack() as hooks:
            for locus in self.loci:
                current, edit = partial(self._current, locus), partial(self._edit, locus)
                hooks.enter_context(editing(self.session, locus, current, edit, every=True))
            yield self

    @contextmanager
    def acting(self, facts: BatchFacts, edits: Mapping[str, Edit]) -> Iterator[None]:
        """Within the block, edit states of this batch by these, named after their loci."""
        self._facts, self._edits = facts, edits
        try:
            yield
        finally:
            self._facts, self._edits = None, {}

    def _current(self, locus: Locus) -> BatchFacts | None:
        return self._facts if locus.name in self._edits else None

    def _edit(self, locus: Locus, rows: Tensor, index: int, part: int) -> Tensor:
        return self._edits[locus.name](rows, index, part)


def taking(into: dict[tuple[int, int], Tensor]) -> Edit:
    """An edit that changes nothing and notes a locus' states."""

    def take(rows: Tensor, index: int, part: int) -> Tensor:
        into[part, index] = rows.clone()
        return rows

    return take


def putting(
    facts: BatchFacts, locus: Locus, tokens: str, states: States, change: Change | None = None
) -> Edit:
    """An edit that puts a donor's states in the place of these tokens' own.

    Raises LayerhouseError where the donor's are of another shape.
    """

    def put(rows: Tensor, index: int, part: int) -> Tensor:
        given = states[part, index]
        if given.shape != rows.shape:
            raise LayerhouseError(
                f"{locus.name}: the donor of sample {index} of the batch has states of shape "
                f"{tuple(given.shape)}, and its own are {tuple(rows.shape)}"
            )
        if change is not None:
            given = change(given, index, part)
        given = given.to(rows.device, rows.dtype)
        if locus.module != LLM:  # nothing but the image's tokens is edited there
            return given
        chosen = _chosen(facts, index, tokens).to(rows.device)
        return torch.where(chosen[:, None], given, rows)

    return put


Along = Mapping[str, Tensor]
"""What is added, by tokens, image or last: a vector of length 1 each (width)."""


def adding(
    facts: BatchFacts, locus: Locus, tokens: str, along: Sequence[Along], strength: float
) -> Edit:
    """An edit that adds to every state of these tokens `strength` times its own norm along a
    direction, which each sample of the batch has its own of.

    Of what enters a decoder in several parts the first is changed, which is what is read there.
    """

    def add(rows: Tensor, index: int, part: int) -> Tensor:
        if part:
            return rows
        if locus.module != LLM:
            return _along(rows, along[index][IMAGE_PATCH], strength)
        changed = rows
        for one in (IMAGE_PATCH, LAST_PATCH) if tokens == BOTH_PATCH else (tokens,):
            chosen = _chosen(facts, index, one).to(rows.device)
            moved = _along(rows, along[index][one], strength)
            changed = torch.where(chosen[:, None], moved, changed)
        return changed

    return add


def _along(rows: Tensor, direction: Tensor, strength: float) -> Tensor:
    states = rows.float()
    norm = states.norm(dim=1, keepdim=True)
    return (states + strength * norm * direction.to(states.device)).to(rows.dtype)


def _chosen(facts: BatchFacts, index: int, tokens: str) -> Tensor:
    """Which of a sample's positions in the prompt are patched: bool [positions]."""
    own = facts.prompt_mask[index]
    chosen = torch.from_numpy(facts.image_mask[index][own])
    if tokens == LAST_PATCH:
        chosen = torch.zeros_like(chosen)
    if tokens in (LAST_PATCH, BOTH_PATCH):
        chosen[-1] = True
    return chosen
