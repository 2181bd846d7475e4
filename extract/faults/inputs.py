"""What faults change of a sample's inputs: its image, and whose image stands beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from extract.faults.donors import SampleRow
from extract.faults.effects import DonorFault, ImageFault
from extract.faults.fault import Fault
from warehouse.errors import LayerhouseError


class ChangedImageError(LayerhouseError):
    """A kind of fault makes of an image what it must not: that says nothing of the sample."""


@dataclass(frozen=True)
class FaultyInputs:
    """All that faults do to what a model is given; empty for those that act inside it.

    Batches are prepared by this alone, so batches that were prepared for an empty one serve every
    other. `donors` holds by fault, as text, whose activations a struck sample gets.
    """

    image_faults: tuple[tuple[ImageFault, Fault], ...] = ()
    donors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.image_faults or self.donors)

    def image(self, image: Image.Image) -> Image.Image:
        """A sample's image, or a donor's, as the model gets to see it."""
        for kind, fault in self.image_faults:
            image = _of_same_size(kind.change_image(image, fault), image, fault)
        return image

    def donors_of(self, sample_id: str) -> dict[str, str]:
        """By fault, as text, the donor of a sample that is struck."""
        return {
            fault: donors[sample_id] for fault, donors in self.donors.items() if sample_id in donors
        }


def _of_same_size(changed: Any, image: Image.Image, fault: Fault) -> Image.Image:
    """What `change_image` gave; ChangedImageError where it is no image, or of another size."""
    if not isinstance(changed, Image.Image):
        given = f"a {type(changed).__name__}"
    elif changed.size != image.size:
        given = f"an image of {changed.width} × {changed.height} pixels"
    else:
        return changed
    raise ChangedImageError(
        f"the fault {fault} gives {given} for an image of {image.width} × {image.height}: "
        "change_image of its kind has to give one of the same size"
    )


def faulty_images(faults: Iterable[Fault]) -> FaultyInputs:
    """What the faults change of images, for samples that are not struck by donor faults."""
    return FaultyInputs(tuple((f.kind, f) for f in faults if isinstance(f.kind, ImageFault)))


def faulty_inputs(faults: Sequence[Fault], samples: Iterable[SampleRow]) -> FaultyInputs:
    """What the faults change of the inputs of a whole dataset's samples."""
    rows = list(samples)
    donors = {str(f): f.kind.donors(f, rows) for f in faults if isinstance(f.kind, DonorFault)}
    return FaultyInputs(faulty_images(faults).image_faults, donors)
