"""Readouts: how a locus' tokens become one vector per sample, computed inside forward hooks.

All averages of a locus are one matrix product with a weight matrix that depends on the batch's
layout only; results of one width go to one buffer, so a batch costs one copy to the host per width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from extract.anatomy.loci import Anatomy, watching
from extract.anatomy.token_maps import BatchFacts, SampleRows, TokenMap, flatten
from extract.reading.selection import Wanted
from extract.reading.vectors import CellVectors
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import READOUTS, Cell

CACHED_POOLERS = 64


@dataclass(frozen=True)
class Pooler:
    """The readouts of one layout as operations on its (rows, width) activation.

    `weight` is (groups, averages, rows per group) fp32 over the columns `start:stop` of each group;
    groups are samples where every sample has equally many rows, else one group holds them all.
    `taken` are single rows, sample by sample, copied as they are; `singles` of them per sample.
    Where every sample keeps its one single row at the same place, that is `place`; where the only
    average is over all of `start:stop`, `plain` says so: either then takes one operation.
    """

    n: int
    groups: int
    start: int
    stop: int
    weight: Tensor | None
    taken: Tensor | None
    singles: int
    n_rows: int
    place: int | None = None
    plain: bool = False

    def __call__(self, states: Tensor, into: Tensor) -> None:
        """Fill `into` (n, slots, width) fp32: single rows first, then averages."""
        rows = flatten(states)
        n_rows, width = rows.shape
        if n_rows != self.n_rows:
            raise LayerhouseError(
                f"an activation has {n_rows} rows where {self.n_rows} were expected"
            )
        if self.place is not None:
            into[:, 0] = rows.view(self.n, -1, width)[:, self.place]
        elif self.taken is not None:
            taken = rows.index_select(0, self.taken)
            into[:, : self.singles] = taken.view(self.n, self.singles, width)
        if self.weight is not None:
            grouped = rows.view(self.groups, -1, width)[:, self.start : self.stop]
            if self.plain:
                torch.mean(grouped, dim=1, dtype=torch.float32, out=into[:, self.singles])
                return
            pooled = torch.matmul(self.weight, grouped.float())
            into[:, self.singles :] = pooled.view(self.n, -1, width)


def slots(readouts: Sequence[str]) -> dict[str, slice]:
    """Where each readout lies on the slot axis of a buffer: single rows before averages."""
    order = [name for name in ("cls", "last", "mean", "grid") if name in readouts]
    found, start = {}, 0
    for name in order:
        found[name] = slice(start, start + READOUTS[name].slots)
        start += READOUTS[name].slots
    return found


def build_pooler(tokens: TokenMap, readouts: Sequence[str], device: torch.device) -> Pooler:
    """The pooling operations for these readouts of a layout."""
    n = len(tokens.samples)
    singles = [name for name in ("cls", "last") if name in readouts]
    rows = [getattr(sample, name) for sample in tokens.samples for name in singles]
    averages = [name for name in ("mean", "grid") if name in readouts]
    groups, start, weight = n, 0, None
    if averages:
        per_sample = [
            np.concatenate([_weights(sample, name) for name in averages])
            for sample in tokens.samples
        ]
        groups, start, weight = _grouped(tokens, per_sample)
    return Pooler(
        n=n,
        groups=groups,
        start=start,
        stop=start if weight is None else start + weight.shape[-1],
        weight=None if weight is None else torch.from_numpy(weight).to(device),
        taken=torch.tensor(rows, device=device) if singles else None,
        singles=len(singles),
        n_rows=tokens.n_rows,
        place=_common_place(rows, n, tokens.n_rows),
        plain=averages == ["mean"] and weight is not None and _is_plain_mean(weight, groups, n),
    )


def _common_place(rows: Sequence[int], n: int, n_rows: int) -> int | None:
    """Where in its sample's part every sample has its only single row, if that is one place."""
    if len(rows) != n or n_rows % n:
        return None
    places = {row - index * (n_rows // n) for index, row in enumerate(rows)}
    place = places.pop()
    return place if not places and 0 <= place < n_rows // n else None


def _is_plain_mean(weight: np.ndarray[Any, Any], groups: int, n: int) -> bool:
    """Whether the one average is over every row between the first and the last, in all samples."""
    return groups == n and bool((weight == np.float32(1 / weight.shape[-1])).all())


def quarters(sample: SampleRows) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Membership of a sample's image tokens in the four parts of the `grid` readout: (4, tokens).

    Tokens with a place in the image are split into upper left, upper right, lower left and lower
    right; with an odd side the middle row or column belongs to both halves, as in adaptive average
    pooling. Tokens without a place (a resampler's queries, the tiles of a cut image) are split into
    four consecutive runs the same way.
    """
    n = len(sample.image)
    if sample.cells is None:
        return np.stack([_part(np.arange(n), n, 4, index) for index in range(4)])
    (height, width), (rows, columns) = sample.shape, sample.cells.T
    return np.stack(
        [
            _part(rows, height, 2, upper) & _part(columns, width, 2, left)
            for upper in range(2)
            for left in range(2)
        ]
    )


def _part(
    places: np.ndarray[Any, Any], size: int, parts: int, index: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    first, behind = index * size // parts, -(-(index + 1) * size // parts)
    return np.asarray((places >= first) & (places < behind))


def _weights(sample: SampleRows, readout: str) -> np.ndarray[Any, Any]:
    if readout == "mean":
        return np.full((1, len(sample.image)), 1 / len(sample.image), dtype=np.float32)
    member = quarters(sample)
    return (member / member.sum(axis=1, keepdims=True)).astype(np.float32)


def _grouped(
    tokens: TokenMap, per_sample: list[np.ndarray[Any, Any]]
) -> tuple[int, int, np.ndarray[Any, Any]]:
    """(groups, first column, weight) for a matrix product over the flattened rows.

    Samples of equally many rows are multiplied one by one, and with one shared matrix where their
    image tokens stand at the same places; anything else is one product over all rows.
    """
    n, k = len(tokens.samples), per_sample[0].shape[0]
    size = tokens.n_rows // n
    columns = [sample.image - index * size for index, sample in enumerate(tokens.samples)]
    even = tokens.n_rows % n == 0 and all(c.min() >= 0 and c.max() < size for c in columns)
    if not even:
        weight = np.zeros((1, n * k, tokens.n_rows), dtype=np.float32)
        for index, (sample, part) in enumerate(zip(tokens.samples, per_sample, strict=True)):
            weight[0, index * k : (index + 1) * k, sample.image] = part.T
        return 1, 0, weight
    start, stop = min(c.min() for c in columns), max(c.max() for c in columns) + 1
    weight = np.zeros((n, k, stop - start), dtype=np.float32)
    for index, (places, part) in enumerate(zip(columns, per_sample, strict=True)):
        weight[index][:, places - start] = part
    shared = bool((weight == weight[0]).all())
    return n, int(start), weight[:1] if shared else weight


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
    _poolers: dict[Any, Pooler] = field(init=False, default_factory=dict)
    _latest: dict[int, tuple[Any, Pooler]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for locus, readouts in self.wanted:
            start = self._slots.get(locus.width, 0)
            where = slots(readouts)
            for name, part in where.items():
                span = slice(start + part.start, start + part.stop)
                self.places[Cell(locus.module, locus.layer, name)] = locus.width, span
            stop = start + max(part.stop for part in where.values())
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
            width: torch.empty(facts.n, size, width, device=device)
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
            self._pooler(self._facts, index, states)(states, self._buffers[width][:, span])
        self.seconds += perf_counter() - started

    def _pooler(self, facts: BatchFacts, index: int, states: Tensor) -> Pooler:
        """The pooler for a locus in this batch's layout; mostly that of the batch before."""
        key = (facts.signature, states.shape)
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

    def take(self) -> dict[int, Tensor]:
        """The blocks of the last recorded batch on the device, (samples, slots, width) by width."""
        buffers, self._buffers = self._buffers, {}
        return buffers

    def collect(self) -> CellVectors:
        """What was read of the last recorded batch, waiting for it to reach the host."""
        blocks = {width: buffer.cpu().numpy() for width, buffer in self.take().items()}
        return CellVectors(self.places, blocks)
