"""Sampling: replies drawn at a temperature, each by a seed of its own, and what most of them name.

A draw depends on its sample, its number and the probabilities alone: the noise that decides each
token is made of the seed, the token's place in the reply and its id, so neither the batch nor the
device nor whatever was drawn before has a part in it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from warehouse.vocabulary import LENGTH

SEED = 0
"""That of all draws: further draws have higher numbers, so no run needs another one."""
GOLDEN, FIRST, SECOND = (
    constant - 2**64 for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
NOISE_AT_ONCE = 2**24
"""Numbers of noise that are held together."""


def seed_of(sample_id: str, draw: int) -> int:
    """The seed of a sample's draw, the first of which is 0: as a BIGINT holds it."""
    digest = blake2b(f"{SEED}/{sample_id}/{draw}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@dataclass(frozen=True)
class Chances:
    """What decides the draws of some replies: the seed of each (int64 [n]), and the temperature."""

    seeds: Tensor
    temperature: float

    def kept(self, which: Tensor) -> "Chances":
        return Chances(self.seeds[which], self.temperature)

    def drawn(self, logits: Tensor, place: int) -> Tensor:
        """The token [n] that is drawn with the probabilities softmax(logits / temperature), logits
        fp32 (n, vocabulary), at this place of each reply.

        The Gumbel-max trick (Gumbel 1954), whose choice hardly moves where probabilities hardly do.
        """
        width = logits.shape[1]
        at_once = max(NOISE_AT_ONCE // width, 1)
        chosen = []
        for seeds, part in zip(self.seeds.split(at_once), logits.split(at_once), strict=True):
            # Exact to its last bit near 0, where the winners lie.
            exponential = -torch.log1p(-_uniform(seeds, place, width))
            chosen.append((part / self.temperature - exponential.log()).argmax(dim=-1))
        return torch.cat(chosen)


def _uniform(seeds: Tensor, place: int, width: int) -> Tensor:
    """Numbers of (0, 1] by seed, place and token alone: fp32 (n, width).

    SplitMix64 (Steele, Lea and Flood 2014), which counts tokens from a state that it made of seed
    and place.
    """
    counts = torch.arange(1, width + 1, device=seeds.device)
    places = torch.full_like(seeds, place) * GOLDEN
    mixed = _mixed(_mixed(seeds + places)[:, None] + counts * GOLDEN)
    return (_shifted(mixed, 11).float() + 0.5) * 2**-53


def _mixed(state: Tensor) -> Tensor:
    state = (state ^ _shifted(state, 30)) * FIRST
    state = (state ^ _shifted(state, 27)) * SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Tensor, n: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (state >> n) & (2 ** (64 - n) - 1)


def standing(read: Sequence[tuple[int | None, str]]) -> int:
    """Which of several replies, by the class that each names and its finish, stands for all: the
    first of those that are most. Alike are replies that name one class, and those that were cut
    before they named any; one that ended without a class is like no other.
    """
    kinds = [finish if named is None and finish == LENGTH else named for named, finish in read]
    counts = Counter(kind for kind in kinds if kind is not None)
    return kinds.index(counts.most_common(1)[0][0]) if counts else 0
