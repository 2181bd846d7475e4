"""Readouts: how a locus' tokens become one vector per sample, one object for each.

A readout is either single rows of a sample, copied as they are, or weighted averages of its image
tokens; all averages of a locus are one matrix product. `tokens` alone makes no vector of them: it
keeps each one. One of ours has its facts in
`warehouse.vocabulary` and its object in `SHIPPED`. A package names its own as an entry point of the
group `layerhouse.readouts`; Python code may call `register_readout` instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.extensions import installed
from warehouse.vocabulary import CONNECTOR, IMAGE_TOKENS, READOUTS, ReadoutFacts

if TYPE_CHECKING:
    from extract.anatomy import Locus, SampleRows, TokenMap

GROUP = "layerhouse.readouts"


class Readout(ABC):
    """One way to make a vector of a sample's tokens; `facts` is what is known of it anywhere."""

    facts: ReadoutFacts

    @abstractmethod
    def exists(self, sample: "SampleRows") -> bool:
        """Whether a sample's tokens at a locus can be read this way."""

    @property
    def identity(self) -> str:
        """What decides its numbers: a lake holds one readout of a name, never two."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


class RowReadout(Readout):
    """Single rows of a sample, copied as they are."""

    @abstractmethod
    def rows(self, sample: "SampleRows") -> Sequence[int] | None:
        """As many rows as the readout has slots; None where the sample has no such rows."""

    def exists(self, sample: "SampleRows") -> bool:
        return self.rows(sample) is not None


class AverageReadout(Readout):
    """Weighted averages of a sample's image tokens."""

    @abstractmethod
    def weights(self, sample: "SampleRows") -> NDArray[np.float32]:
        """The weight of every image token in every slot's average: fp32 (slots, image tokens)."""

    def exists(self, sample: "SampleRows") -> bool:
        return len(sample.image) > 0


class Mean(AverageReadout):
    """All image tokens averaged."""

    facts = READOUTS["mean"]

    def weights(self, sample: "SampleRows") -> NDArray[np.float32]:
        n = len(sample.image)
        return np.full((1, n), 1 / n, dtype=np.float32)


class ClassToken(RowReadout):
    """The tower's class token."""

    facts = READOUTS["cls"]

    def rows(self, sample: "SampleRows") -> Sequence[int] | None:
        return None if sample.cls is None else (sample.cls,)


class FinalToken(RowReadout):
    """The final input token, after which the model answers."""

    facts = READOUTS["last"]

    def rows(self, sample: "SampleRows") -> Sequence[int] | None:
        return None if sample.last is None else (sample.last,)


class ReplyToken(RowReadout):
    """The last token before the model's own reply names a class (`answering.places` says which)."""

    facts = READOUTS["reply"]

    def rows(self, sample: "SampleRows") -> Sequence[int] | None:
        return None if sample.reply is None else (sample.reply,)


class QuarterMeans(AverageReadout):
    """Image tokens averaged in the four quarters of the image, so that position survives."""

    facts = READOUTS["grid"]

    def weights(self, sample: "SampleRows") -> NDArray[np.float32]:
        member = quarters(sample)
        return (member / member.sum(axis=1, keepdims=True)).astype(np.float32)


class EveryToken(Readout):
    """Each image token as it is, of which a sample may have more than another."""

    facts = READOUTS["tokens"]

    def exists(self, sample: "SampleRows") -> bool:
        return len(sample.image) > 0


SHIPPED = {
    readout.facts.name: readout
    for readout in (Mean(), ClassToken(), FinalToken(), QuarterMeans(), ReplyToken(), EveryToken())
}
_registered: dict[str, Readout] = {}


def register_readout(readout: Readout) -> Readout:
    """Make a readout known to this process. Raises LayerhouseError for the name of one of ours."""
    _registered[_checked(readout).facts.name] = readout
    return readout


def known_readouts() -> dict[str, Readout]:
    """Every known readout by name: ours in their order, then others' by name."""
    return SHIPPED | brought_readouts()


def brought_readouts() -> dict[str, Readout]:
    """The readouts that are not ours, ordered by name.

    Raises LayerhouseError for one of a package that has one of our names, or another name than its
    entry point.
    """
    found = installed(GROUP, Readout)
    for name, readout in found.items():
        if _checked(readout).facts.name != name:
            raise LayerhouseError(
                f"the entry point {name} of {GROUP} brings a readout named "
                f"{readout.facts.name!r}; give both one name"
            )
    return dict(sorted((found | _registered).items()))


def readout_named(name: str) -> Readout:
    """The readout of this name. Raises UsageError with the nearest name there is."""
    known = known_readouts()
    if name not in known:
        raise UsageError(f"unknown readout {name!r}{nearest(name, known)}")
    return known[name]


def is_per_token(name: str) -> bool:
    """Whether the readout of this name, if any, keeps every token apart."""
    readout = known_readouts().get(name)
    return readout is not None and readout.facts.is_per_token


def readouts_at(locus: "Locus", tokens: "TokenMap") -> tuple[str, ...]:
    """The names of the readouts that a locus gives for every sample of a batch; where it gives
    `mean` it has image tokens, which goes without saying.

    The connector is what image tokens carry into the decoder: nothing else of it is read.
    """
    return tuple(
        name
        for name, readout in known_readouts().items()
        if not readout.facts.is_per_token
        and (locus.module != CONNECTOR or readout.facts.reads == IMAGE_TOKENS)
        and all(readout.exists(sample) for sample in tokens.samples)
    )


def quarters(sample: "SampleRows") -> NDArray[np.bool_]:
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


def _part(places: NDArray[np.int64], size: int, parts: int, index: int) -> NDArray[np.bool_]:
    first, behind = index * size // parts, -(-(index + 1) * size // parts)
    return np.asarray((places >= first) & (places < behind))


def _checked(readout: Readout) -> Readout:
    if readout.facts.name in SHIPPED:
        raise LayerhouseError(
            f"the readout {readout.facts.name!r} of {readout.identity} has the name of one of "
            "Layerhouse's own; give it another"
        )
    if readout.facts.slots < 1:
        raise LayerhouseError(
            f"the readout {readout.facts.name!r} of {readout.identity} must have a slot at least"
        )
    return readout
