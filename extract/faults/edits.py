"""Edits: what a fault does to one sample's rows of an activation, as plain functions."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from warehouse.errors import LayerhouseError


@dataclass(frozen=True)
class Strike:
    """What an edit may draw on.

    `generator` is seeded by the sample, `fixed` by the fault alone; `base` is what an erasing fault
    was fitted to: class-independent means (tokens, width) and bases (tokens, width, directions).
    """

    severity: float
    generator: torch.Generator
    fixed: torch.Generator
    base: tuple[Tensor, Tensor] | None = None


def noise(rows: Tensor, strike: Strike) -> Tensor:
    """Independent normal noise, `severity` times the standard deviation of the sample's rows."""
    drawn = torch.randn(rows.shape, generator=strike.generator).to(rows.device)
    return rows + drawn * rows.std() * strike.severity


def drop(rows: Tensor, strike: Strike) -> Tensor:
    """A share of the tokens, drawn anew for every sample, becomes zero."""
    order = torch.randperm(rows.shape[0], generator=strike.generator)
    dropped = order[: round(strike.severity * rows.shape[0])].to(rows.device)
    return rows.index_fill(0, dropped, 0.0)


def rank(rows: Tensor, strike: Strike) -> Tensor:
    """Every token is projected on the same few random directions."""
    width = rows.shape[1]
    directions = torch.randn(width, min(int(strike.severity), width), generator=strike.fixed)
    basis = torch.linalg.qr(directions).Q.to(rows.device)
    return rows @ basis @ basis.T


def quantise(rows: Tensor, strike: Strike) -> Tensor:
    """Values are rounded to 2^bits even steps between the sample's extremes."""
    low, high = rows.min(), rows.max()
    step = ((high - low) / (2 ** int(strike.severity) - 1)).clamp(min=1e-12)
    return ((rows - low) / step).round() * step + low


def erase(rows: Tensor, strike: Strike) -> Tensor:
    """The class means' differences are projected out, token by token.

    Afterwards all classes have the same mean at every token, so no linear readout beats a constant
    in the least-squares sense: the least-squares form of concept erasure (Belrose et al. 2023,
    LEACE, without its whitening).
    """
    assert strike.base is not None
    means, basis = (part.to(rows.device) for part in strike.base)
    if means.shape != rows.shape:
        raise LayerhouseError(
            f"erase was fitted on activations of shape {tuple(means.shape)} and meets "
            f"{tuple(rows.shape)}; it needs images that all give equally many tokens"
        )
    inside = torch.einsum("td,tdk->tk", rows - means, basis)
    return rows - torch.einsum("tk,tdk->td", inside, basis)


EDITS: dict[str, Callable[[Tensor, Strike], Tensor]] = {
    "noise": noise,
    "drop": drop,
    "rank": rank,
    "quantise": quantise,
    "erase": erase,
}
