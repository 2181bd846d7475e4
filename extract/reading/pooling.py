"""Pooling: the readouts of one layout as few operations on an activation.

All averages are one matrix product with a weight matrix that depends on the batch's layout only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.anatomy import SampleRows, TokenMap, flatten
from extract.reading.readouts import (
    AverageReadout,
    EveryToken,
    Readout,
    RowReadout,
    known_readouts,
)
from extract.reading.vectors import TokenLayout
from warehouse.errors import LayerhouseError

K = TypeVar("K", bound=Readout)


@dataclass(frozen=True)
class Pooler:
    """The readouts of one layout as operations on its (rows, width) activation.

    `weight` is (groups, averages, rows per group) fp32 over the columns `start:stop` of each group;
    groups are samples where every sample has equally many rows, else one group holds them all.
    `taken` are single rows, sample by sample, copied as they are; `singles` of them per sample.
    Where every sample keeps its one single row at the same place, that is `place`; where the only
    average is over all of `start:stop`, `plain` says so: either then takes one operation.
    `tokens` are the rows of all image tokens, where each is kept.
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
    tokens: "TokenRows | None" = None

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


@dataclass(frozen=True, eq=False)
class TokenRows:
    """The rows of a layout's image tokens, sample by sample."""

    rows: Tensor
    layout: TokenLayout

    def __call__(self, states: Tensor) -> Tensor:
        """The tokens' vectors fp32 (tokens, width), a copy."""
        return flatten(states).index_select(0, self.rows).float()


def slots(names: Sequence[str]) -> dict[str, slice]:
    """Where each readout lies on the slot axis of a buffer: single rows before averages."""
    found, start = {}, 0
    for readout in (*_of_kind(RowReadout, names), *_of_kind(AverageReadout, names)):
        found[readout.facts.name] = slice(start, start + readout.facts.slots)
        start += readout.facts.slots
    return found


def build_pooler(tokens: TokenMap, names: Sequence[str], device: torch.device) -> Pooler:
    """The pooling operations for these readouts of a layout."""
    n = len(tokens.samples)
    singles, averages = _of_kind(RowReadout, names), _of_kind(AverageReadout, names)
    rows = [
        row for sample in tokens.samples for readout in singles for row in _rows(readout, sample)
    ]
    groups, start, weight = n, 0, None
    if averages:
        per_sample = [
            np.concatenate([_weights(readout, sample) for readout in averages])
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
        singles=sum(readout.facts.slots for readout in singles),
        n_rows=tokens.n_rows,
        place=_common_place(rows, n, tokens.n_rows),
        plain=weight is not None and _is_plain_mean(weight, groups, n),
        tokens=_token_rows(tokens, device) if _of_kind(EveryToken, names) else None,
    )


def _token_rows(tokens: TokenMap, device: torch.device) -> TokenRows:
    counts = np.array([len(sample.image) for sample in tokens.samples])
    places = [
        np.full((len(sample.image), 2), -1) if sample.cells is None else sample.cells
        for sample in tokens.samples
    ]
    rows = np.concatenate([sample.image for sample in tokens.samples])
    layout = TokenLayout(counts, np.concatenate(places).astype(np.int32))
    return TokenRows(torch.from_numpy(rows).to(device), layout)


def _of_kind(kind: type[K], names: Sequence[str]) -> list[K]:
    """Those of the named readouts that work this way, in the order of all readouts."""
    known = known_readouts().items()
    return [found for name, found in known if name in names and isinstance(found, kind)]


def _rows(readout: RowReadout, sample: SampleRows) -> Sequence[int]:
    rows = readout.rows(sample)
    if rows is None or len(rows) != readout.facts.slots:
        raise _misfit(readout, "rows", 0 if rows is None else len(rows))
    return rows


def _weights(readout: AverageReadout, sample: SampleRows) -> NDArray[np.float32]:
    """Weights fp32 (slots, image tokens)."""
    weights = np.asarray(readout.weights(sample), dtype=np.float32)
    if weights.shape != (readout.facts.slots, len(sample.image)):
        raise _misfit(readout, "weights", weights.shape)
    return weights


def _misfit(readout: Readout, what: str, given: object) -> LayerhouseError:
    return LayerhouseError(
        f"the readout {readout.facts.name} ({readout.identity}) has {readout.facts.slots} slots, "
        f"which do not fit its {what}: {given}"
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
    one = weight.shape[1] == 1
    return one and groups == n and bool((weight == np.float32(1 / weight.shape[-1])).all())


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
