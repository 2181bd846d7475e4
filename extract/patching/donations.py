"""Donations: whose states are put into a receiver, and what is made of them as a control."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from extract.anatomy import Locus
from extract.models import Session
from extract.patching.intervention import SampleRow
from extract.patching.sides import Side
from extract.patching.splicing import Change
from extract.sharing import Way, choose_image_donors
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import (
    ALIKE_PATCH,
    ELSEWHERE_PATCH,
    NO_PATCH_CONTROL,
    NOISE_PATCH,
    OTHER,
    SAME_CLASS,
)


@dataclass(frozen=True)
class Donation:
    """States that one run of donors gives: `side` runs them, on the receiver's samples as asked in
    `way`; `donors` are by sample whose image that shows, `controls` what is put of it.

    A sample that is in no `donors` gets nothing of it.
    """

    side: Side
    way: Way | None
    donors: Mapping[str, str]
    controls: tuple[str, ...]
    is_other_model: bool = False


@dataclass(frozen=True)
class ImageDonors:
    """Whose image each sample gets states of: of another class, and another one of the same where
    there is one. The draw is that of the image controls, among the samples that are scored.
    """

    other: Mapping[str, str]
    same: Mapping[str, str]

    @classmethod
    def among(cls, samples: Iterable[SampleRow]) -> "ImageDonors":
        """Raises LayerhouseError where all samples are of one class."""
        rows = list(samples)
        counts: dict[int, int] = {}
        for _, class_index, _ in rows:
            counts[class_index] = counts.get(class_index, 0) + 1
        if len(counts) < 2:
            raise LayerhouseError(
                "patches between images need donors of another class, and all scored samples are "
                "of one; name a better model with --from"
            )
        several = [row for row in rows if counts[row[1]] > 1]
        return cls(choose_image_donors(rows, OTHER), choose_image_donors(several, SAME_CLASS))

    def shown(self) -> dict[str, Mapping[str, str]]:
        """By image control whose image is shown; a class' only sample shows that of another."""
        return {OTHER: self.other, SAME_CLASS: {**self.other, **self.same}}


def between_images(
    receiver: Side, donors: ImageDonors, own: Way, *, controls: bool
) -> list[Donation]:
    """What one model is given of other images."""
    other = Way(own.prompt_id, own.option_order, OTHER)
    alike = Way(own.prompt_id, own.option_order, SAME_CLASS)
    of_other = (NO_PATCH_CONTROL, *((ELSEWHERE_PATCH, NOISE_PATCH) if controls else ()))
    found = [Donation(receiver, other, donors.other, of_other)]
    if controls and donors.same:
        found.append(Donation(receiver, alike, donors.same, (ALIKE_PATCH,)))
    return found


def between_models(donor: Side, sample_ids: Sequence[str]) -> list[Donation]:
    """What one model is given of another's states of the same images."""
    own = dict(zip(sample_ids, sample_ids, strict=True))
    return [Donation(donor, None, own, (NO_PATCH_CONTROL,), is_other_model=True)]


def partners(
    session: Session, loci: Sequence[Locus], shapes: Mapping[str, object]
) -> dict[str, Locus]:
    """By name of a locus the other one whose states are put there as a control: of its module and
    of states of the same shape, half of these away. None for a locus that is alone so.
    """
    found: dict[str, Locus] = {}
    for locus in loci:
        alike = [
            other
            for other in session.anatomy.of(locus.module)
            if other.on_path and shapes.get(other.name) == shapes.get(locus.name)
        ]
        if len(alike) > 1:
            away = (alike.index(locus) + len(alike) // 2) % len(alike)
            found[locus.name] = alike[away]
    return found


class SameNorm:
    """Noise in the place of donors' states: every token keeps its norm and loses its direction.

    What a sample gets depends on its id and the locus, never on its batch.
    """

    def __init__(self) -> None:
        self._drawn: dict[tuple[torch.Size, torch.device], Tensor] = {}

    def change(self, locus: Locus, names: Sequence[str]) -> Change:
        """The change of a batch's states at a locus."""

        def change(given: Tensor, index: int, part: int) -> Tensor:
            text = f"{locus.name}/{part}/{names[index]}"
            mark = blake2b(text.encode(), digest_size=8).digest()
            turned = tuple(int.from_bytes(mark[at : at + 4], "big") for at in (0, 4))
            drawn = torch.roll(self._of(given), [turned[0] % len(given), turned[1]], [0, 1])
            norm = given.float().norm(dim=1, keepdim=True)
            return drawn * norm / drawn.norm(dim=1, keepdim=True)

        return change

    def _of(self, given: Tensor) -> Tensor:
        """One draw for all states of a shape, which every sample turns its own way: to draw anew
        for each would take longer than the model."""
        key = (given.shape, given.device)
        if key not in self._drawn:
            seeded = torch.Generator().manual_seed(0)
            self._drawn[key] = torch.randn(given.shape, generator=seeded).to(given.device)
        return self._drawn[key]
