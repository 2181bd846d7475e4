"""Peers: the processes that train one repair together, each on its share of the batches."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed, nn

Item = TypeVar("Item")


@dataclass(frozen=True)
class Peers:
    """Which of how many processes this is; by itself it is the only one.

    They exchange what they have through the memory of one machine's CPU (gloo), so that any devices
    can take part, several processes on one of them too.
    """

    rank: int = 0
    size: int = 1

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This one's part of what all have before them."""
        return items[self.rank :: self.size]

    def gathered(self, own: Item) -> list[Item]:
        """What each of them has, in the order of their ranks; all must ask for it."""
        if self.size == 1:
            return [own]
        found: list[Item] = [own] * self.size
        distributed.all_gather_object(found, own)
        return found

    def add_up(self, weights: Collection[nn.Parameter]) -> None:
        """Make gradients the sums of all processes'; where no process has one there is none."""
        if self.size == 1:
            return
        mine = [weight.grad is not None for weight in weights]
        reached = [any(each) for each in zip(*self.gathered(mine), strict=True)]
        shared = [weight for weight, is_reached in zip(weights, reached, strict=True) if is_reached]
        if not shared:
            return
        gradients = (torch.zeros_like(w) if w.grad is None else w.grad for w in shared)
        flat = torch.cat([gradient.detach().flatten().cpu() for gradient in gradients])
        distributed.all_reduce(flat)
        for weight, part in zip(shared, flat.split([w.numel() for w in shared]), strict=True):
            weight.grad = part.view_as(weight).to(weight.device)


ALONE = Peers()


@contextmanager
def meeting(rank: int, size: int, place: Path) -> Iterator[Peers]:
    """This process as one of so many, which find one another by a file; all are on this machine,
    and nobody elsewhere can reach them.
    """
    os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
    distributed.init_process_group(
        "gloo", init_method=f"file://{place.absolute()}", rank=rank, world_size=size
    )
    try:
        yield Peers(rank, size)
    finally:
        distributed.destroy_process_group()
