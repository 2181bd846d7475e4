"""Preparing: samples of a dataset become a batch that the model can take."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import local
from typing import Any, TypeAlias

from PIL import Image

from extract.faults import ChangedImageError, DonorBatch, FaultyInputs
from extract.models import Encoder, Session
from extract.running.clock import Stopwatch
from extract.sharing import Way, shown_in
from warehouse.errors import LayerhouseError
from warehouse.images import MAX_PIXELS, open_image
from warehouse.vocabulary import BLANK, OWN_IMAGE

AskedInputs: TypeAlias = tuple[dict[str, Any], Mapping[str, DonorBatch]]
_Opened = dict[str, tuple[Image.Image, dict[str, Image.Image]]]
"""Images by sample, each with its donors by fault and what stands in its place by image control."""

GREY = (127, 127, 127)
"""The blank image: what preprocessing makes about zero of."""


@dataclass(frozen=True)
class Prepared:
    """One batch ready for the model; `inputs` are on the CPU, `donors` by fault.

    `others` are the same of the ways of asking besides the first, `way`. `rejected` says why
    samples of the batch could not be prepared: they are not in `sample_ids`, which may be empty.
    `seconds` is what preparing took, per kind of work.
    """

    sample_ids: Sequence[str]
    inputs: dict[str, Any]
    donors: Mapping[str, DonorBatch]
    rejected: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    way: Way | None = None
    others: Mapping[Way | None, AskedInputs] = field(default_factory=dict)

    def of(self, way: Way | None) -> AskedInputs:
        """Inputs and donors where it is asked in a way."""
        return (self.inputs, self.donors) if way == self.way else self.others[way]

    @property
    def n_asked(self) -> int:
        return len(self.sample_ids) + len(self.rejected)


def _shown(opened: _Opened, way: Way | None) -> list[Image.Image]:
    """The images that go with the question where it is asked in a way."""
    shown = shown_in(way)
    return [image if shown == OWN_IMAGE else instead[shown] for image, instead in opened.values()]


@dataclass
class Preparer:
    """Turns sample ids into model inputs: decoding, what faults change of them, preprocessing.

    An image that cannot be decoded, has more than `max_pixels` pixels or that the model's
    preprocessing refuses is rejected; the batch goes on without it. `prompts` are the texts of the
    ways of asking besides the run's own; `image_donors` say by image control whose image is shown
    in the place of a sample's.
    """

    session: Session
    uris: Mapping[str, str]
    faulty: FaultyInputs = field(default_factory=FaultyInputs)
    max_pixels: int = MAX_PIXELS
    prompts: Mapping[Way, str] = field(default_factory=dict)
    image_donors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _own: local = field(init=False, default_factory=local)

    def batch(self, asked: tuple[Sequence[str], Sequence[Way | None]]) -> Prepared:
        """A batch of samples for ways of asking."""
        return self(*asked)

    def __call__(self, sample_ids: Sequence[str], ways: Sequence[Way | None] = (None,)) -> Prepared:
        watch = Stopwatch()
        rejected: dict[str, str] = {}
        with watch.timing("decode"):
            opened = self._open(sample_ids, rejected)
        with watch.timing("preprocess"):
            first, *others = ways
            with self._encoder().each_image_once():
                inputs = self._encode_all(opened, rejected, first)
                more = {way: self._asked(opened, way) for way in others if opened}
                donors = self._donors(opened, first)
        seconds = dict(watch.seconds)
        return Prepared(list(opened), inputs, donors, rejected, seconds, first, more)

    def _asked(self, opened: _Opened, way: Way | None) -> AskedInputs:
        return self._encode(_shown(opened, way), way), self._donors(opened, way)

    def _donors(self, opened: _Opened, way: Way | None) -> dict[str, DonorBatch]:
        names = list(opened)
        return {
            fault: DonorBatch(
                [names.index(name) for name in struck],
                self._encode([opened[name][1][fault] for name in struck], way),
            )
            for fault in self.faulty.donors
            if (struck := [name for name in names if fault in opened[name][1]])
        }

    def _open(self, sample_ids: Sequence[str], rejected: dict[str, str]) -> _Opened:
        """Every readable image with its donors, by fault."""
        opened: _Opened = {}
        for name in sample_ids:
            try:
                image = self._image(name)
                donors = self.faulty.donors_of(name).items()
                stand_in = {fault: self._donor(of, image) for fault, of in donors}
                opened[name] = image, stand_in | self._controls(name, image)
            except ChangedImageError:  # by a kind of fault: no sample is to blame for it
                raise
            except LayerhouseError as error:
                rejected[name] = str(error)
        return opened

    def _controls(self, name: str, image: Image.Image) -> dict[str, Image.Image]:
        """What is shown in the place of an image, by image control."""
        return {
            control: Image.new("RGB", image.size, GREY)
            if control == BLANK
            else self._donor(donors[name], image)
            for control, donors in self.image_donors.items()
        }

    def _image(self, name: str) -> Image.Image:
        return self.faulty.image(open_image(self.uris[name], max_pixels=self.max_pixels))

    def _donor(self, name: str, image: Image.Image) -> Image.Image:
        """Donors take the size of the image they stand in for: same tokens, same places."""
        donor = self._image(name)
        return donor if donor.size == image.size else donor.resize(image.size)

    def _encode_all(
        self, opened: _Opened, rejected: dict[str, str], way: Way | None
    ) -> dict[str, Any]:
        """The inputs of all images; those that the processor refuses leave `opened`."""
        if not opened:
            return {}
        try:
            return self._encode(_shown(opened, way), way)
        except Exception:  # processors raise anything on an image they cannot fit
            refused = {name: why for name in opened if (why := self._refusal(opened[name][0]))}
            if not refused:
                raise
        rejected |= refused
        for name in refused:
            del opened[name]
        return self._encode_all(opened, rejected, way)

    def _refusal(self, image: Image.Image) -> str | None:
        try:
            self._encode([image], None)
        except Exception as error:
            said = str(error).split("\n")[0] or type(error).__name__
            return f"the model's preprocessing refuses an image of {image.size} pixels: {said}"
        return None

    def _encode(self, images: Sequence[Image.Image], way: Way | None) -> dict[str, Any]:
        encoder = self._encoder()
        if way is not None:
            encoder = replace(encoder, prompt=self.prompts[way])
        return encoder(images)

    def _encoder(self) -> Encoder:
        # Tokenizers refuse to be used by two threads at once, so each has a copy of its own.
        if not hasattr(self._own, "encoder"):
            self._own.encoder = copy.deepcopy(self.session.encoder)
        encoder: Encoder = self._own.encoder
        return encoder
