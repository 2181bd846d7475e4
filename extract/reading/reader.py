"""Reading: the wanted readouts of every batch, taken inside forward hooks as the model runs.

Results of one width go to one buffer, so a batch costs one copy to the host per width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from extract.anatomy import Anatomy, BatchFacts, watching
from extract.reading.pooling import Pooler, build_pooler, slots
from extract.reading.readouts import EveryToken
from extract.reading.selection import Wanted
from extract.reading.vectors import CellVectors, TokenLayout, Tokens
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import Cell

CACHED_POOLERS = 64
Array = np.ndarray[Any, Any]
Place = int | Cell
"""Where what was read of a batch lies: in the block of a width, or alone."""


@dataclass
class Reader:
    """Reads the wanted readouts of every batch that runs inside `recording`.

    Hooks are registered once, by `attached`; outside `recording` they do nothing, so that scoring
    and generation after the prompt's forward pass leave no trace. `seconds` is the time spent in
    them (on a GPU: the time to launch their work); `places` are those of `CellVectors`.
    """

    model: nn.Module
    anatomy: Anatomy
    wanted: Wanted
    seconds: float = 0.0
    places: dict[Cell, tuple[int, slice]] = field(init=False, default_factory=dict)
    _slots: dict[int, int] = field(init=False, default_factory=dict)
    _spans: list[tuple[int, slice]] = field(init=False, default_factory=list)
    _facts: BatchFacts | None = field(init=False, default=None)
    _fired: list[int] = field(init=False, default_factory=list)
    _buffers: dict[int, Tensor] = field(init=False, default_factory=dict)
    _tokens: dict[Cell, tuple[Tensor, TokenLayout]] = field(init=False, default_factory=dict)
    _poolers: dict[Any, Pooler] = field(init=False, default_factory=dict)
    _latest: dict[int, tuple[Any, Pooler]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for locus, readouts in self.wanted:
            start = self._slots.get(locus.width, 0)
            where = slots(readouts)
            for name, part in where.items():
                span = slice(start + part.start, start + part.stop)
                self.places[Cell(locus.module, locus.layer, name)] = locus.width, span
            stop = start + max((part.stop for part in where.values()), default=0)
            self._spans.append((locus.width, slice(start, stop)))
            self._slots[locus.width] = stop

    @contextmanager
    def attached(self) -> Iterator["Reader"]:
        """Keep the hooks registered for the length of a `with` block."""
        with watching(self.model, [locus for locus, _ in self.wanted], self._read):
            yield self

    @contextmanager
    def recording(self, facts: BatchFacts, device: torch.device) -> Iterator[None]:
        """Read whatever runs inside the block as the forward pass of this batch."""
        self._facts = facts
        self._fired = [0] * len(self.wanted)
        self._buffers = {
            width: torch.empty(facts.n, size, width, dtype=torch.float32, device=device)
            for width, size in self._slots.items()
        }
        try:
            yield
        finally:
            self._facts = None
        self._check_fired()

    def _read(self, index: int, states: Tensor) -> None:
        if self._facts is None:
            return
        started = perf_counter()
        self._fired[index] += 1
        if self._fired[index] == 1:
            width, span = self._spans[index]
            pooler = self._pooler(self._facts, index, states)
            pooler(states, self._buffers[width][:, span])
            if pooler.tokens is not None:
                locus = self.wanted[index][0]
                cell = Cell(locus.module, locus.layer, EveryToken.facts.name)
                self._tokens[cell] = pooler.tokens(states), pooler.tokens.layout
        self.seconds += perf_counter() - started

    def _pooler(self, facts: BatchFacts, index: int, states: Tensor) -> Pooler:
        """The pooler for a locus in this batch's layout; mostly that of the batch before."""
        key = (facts.layout, states.shape)
        if index in self._latest and self._latest[index][0] == key:
            return self._latest[index][1]
        locus, readouts = self.wanted[index]
        if states.shape[1 if states.dim() == 4 else -1] != locus.width:
            raise LayerhouseError(
                f"{locus.name} gives vectors of shape {tuple(states.shape)}, not of width "
                f"{locus.width}"
            )
        shared = (*key, locus.module, locus.reads, readouts, states.device)
        if shared not in self._poolers:
            if len(self._poolers) >= CACHED_POOLERS:
                self._poolers.clear()
            tokens = facts.token_map(locus, tuple(states.shape))
            self._poolers[shared] = build_pooler(tokens, readouts, states.device)
        self._latest[index] = key, self._poolers[shared]
        return self._poolers[shared]

    def _check_fired(self) -> None:
        for (locus, _), count in zip(self.wanted, self._fired, strict=True):
            if count != locus.calls:
                raise LayerhouseError(
                    f"{self.anatomy.model_type}: {locus.name} ({locus.path}) ran {count} times in "
                    f"one forward pass, not {locus.calls}; its readouts would be ambiguous"
                )

    def take(self) -> tuple[dict[Place, Tensor], dict[Cell, TokenLayout]]:
        """What was read of the last recorded batch, on the device: blocks (samples, slots, width)
        by width, and tokens (tokens, width) by cell with their layout.
        """
        read: dict[Place, Tensor] = dict(self._buffers.items())
        read.update({cell: values for cell, (values, _) in self._tokens.items()})
        layouts = {cell: layout for cell, (_, layout) in self._tokens.items()}
        self._buffers, self._tokens = {}, {}
        return read, layouts

    def arrived(
        self, read: Mapping[Place, Array], layouts: Mapping[Cell, TokenLayout]
    ) -> CellVectors:
        """What `take` gave, once it has reached the host."""
        blocks = {place: block for place, block in read.items() if isinstance(place, int)}
        tokens = {cell: Tokens(read[cell], layout) for cell, layout in layouts.items()}
        return CellVectors(self.places, blocks, tokens)

    def collect(self) -> CellVectors:
        """What was read of the last recorded batch, waiting for it to reach the host."""
        read, layouts = self.take()
        return self.arrived({each: held.cpu().numpy() for each, held in read.items()}, layouts)
