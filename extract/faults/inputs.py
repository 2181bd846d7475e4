"""What faults change of a sample's inputs: its image, and whose image stands beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from extract.faults.donors import SampleRow
from extract.faults.effects import DonorFault, ImageFault
from extract.faults.fault import Fault


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
            image = kind.change_image(image, fault)
        return image

    def donors_of(self, sample_id: str) -> dict[str, str]:
        """By fault, as text, the donor of a sample that is struck."""
        return {
            fault: donors[sample_id] for fault, donors in self.donors.items() if sample_id in donors
        }


def faulty_images(faults: Iterable[Fault]) -> FaultyInputs:
    """What the faults change of images, for samples that are not struck by donor faults."""
    return FaultyInputs(tuple((f.kind, f) for f in faults if isinstance(f.kind, ImageFault)))


def faulty_inputs(faults: Sequence[Fault], samples: Iterable[SampleRow]) -> FaultyInputs:
    """What the faults change of the inputs of a whole dataset's samples."""
    rows = list(samples)
    donors = {str(f): f.kind.donors(f, rows) for f in faults if isinstance(f.kind, DonorFault)}
    return FaultyInputs(faulty_images(faults).image_faults, donors)
