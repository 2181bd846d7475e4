"""Vectors: what was read of some samples, in few large arrays, and where each cell lies in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import LayerhouseError
from warehouse.vocabulary import Cell


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """Of some samples one after the other how many image tokens each has, `counts`, and the (row,
    column) of every one in its image, `places` (tokens, 2), -1 where it has none.
    """

    counts: NDArray[np.int64]
    places: NDArray[np.int32]


class Tokens(NamedTuple):
    """The image tokens of some samples at a locus, fp32 (tokens, width)."""

    values: NDArray[np.float32]
    layout: TokenLayout

    def by_sample(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Each sample's vectors and places."""
        ends = np.cumsum(self.layout.counts)[:-1]
        return zip(np.split(self.values, ends), np.split(self.layout.places, ends), strict=True)


@dataclass(frozen=True, eq=False)
class CellVectors(Mapping[Cell, NDArray[np.float32]]):
    """Every cell's vectors of some samples, fp32 (samples, slots × width).

    `blocks` holds the vectors of all loci of one width side by side, (samples, slots, width), so
    that a batch reaches the host in one copy per width; `places` says in which block a cell lies,
    and at which slots. Where all tokens of a locus are kept, they are in `tokens`, apart.
    """

    places: Mapping[Cell, tuple[int, slice]]
    blocks: Mapping[int, NDArray[np.float32]]
    tokens: Mapping[Cell, Tokens] = field(default_factory=dict)

    def __getitem__(self, cell: Cell) -> NDArray[np.float32]:
        width, slots = self.places[cell]
        block = self.blocks[width]
        return block[:, slots].reshape(len(block), -1)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def refuse_not_finite(self, sample_ids: Sequence[str], remedy: str) -> None:
        """Raise LayerhouseError naming cell and sample if a vector holds NaN or infinity."""
        for cell, tokens in self.tokens.items():
            if not np.isfinite(tokens.values.sum()):
                fine = np.array([np.isfinite(each).all() for each, _ in tokens.by_sample()])
                _refuse(cell, fine, sample_ids, remedy)
        # A sum is finite unless a value is not; that it may overflow only costs the second look.
        if all(np.isfinite(block.sum()) for block in self.blocks.values()):
            return
        for cell, vectors in self.items():
            fine = np.asarray(np.isfinite(vectors).all(axis=1))
            _refuse(cell, fine, sample_ids, remedy)


def _refuse(cell: Cell, fine: NDArray[np.bool_], sample_ids: Sequence[str], remedy: str) -> None:
    """Raise where a sample's vectors are not fine."""
    if not fine.all():
        raise LayerhouseError(
            f"the {cell.readout} readout of {cell.module}.{cell.layer} is not finite for sample "
            f"{sample_ids[int(np.argmin(fine))]}; {remedy}"
        )


def beside(first: CellVectors, second: CellVectors) -> CellVectors:
    """The cells of both, which are of the same samples in the same order."""
    places, blocks = dict(first.places), dict(first.blocks)
    for width, block in second.blocks.items():
        before = blocks.get(width)
        blocks[width] = block if before is None else np.concatenate([before, block], axis=1)
    for cell, (width, slots) in second.places.items():
        start = first.blocks[width].shape[1] if width in first.blocks else 0
        places[cell] = width, slice(start + slots.start, start + slots.stop)
    return CellVectors(places, blocks, {**first.tokens, **second.tokens})


@dataclass(frozen=True)
class JoinedVectors(Mapping[Cell, NDArray[np.float32]]):
    """The same cells of the parts' samples one after the other, then put into this order.

    order: [samples of all parts], the place of each in that succession.

    A cell is put together when it is asked for, in one copy: all of a large range's at once would
    take its memory over again.
    """

    parts: Sequence[CellVectors]
    order: NDArray[np.intp]

    def __getitem__(self, cell: Cell) -> NDArray[np.float32]:
        width, slots = self.parts[0].places[cell]
        whole = np.empty((len(self.order), slots.stop - slots.start, width), np.float32)
        rows = np.empty_like(self.order)
        rows[self.order] = np.arange(len(rows))
        ends = np.cumsum([len(part.blocks[width]) for part in self.parts])
        for part, here in zip(self.parts, np.split(rows, ends[:-1]), strict=True):
            whole[here] = part.blocks[width][:, slots]
        return whole.reshape(len(whole), -1)

    @property
    def token_cells(self) -> list[Cell]:
        """The cells of which all tokens are kept, which are none of the others."""
        return sorted(self.parts[0].tokens) if self.parts else []

    def tokens(self, cell: Cell) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Each sample's tokens, in the samples' order: vectors (tokens, width) and places."""
        found = [each for part in self.parts for each in part.tokens[cell].by_sample()]
        return [found[place] for place in self.order]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.parts[0].places if self.parts else ())

    def __len__(self) -> int:
        return len(self.parts[0].places) if self.parts else 0
