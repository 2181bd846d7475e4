"""What a fault can act on, a base class for each: to add a kind is to derive from one of them.

The image before it is preprocessed (`ImageFault`); a locus of the running model (`SiteFault`),
there one sample's activations (`ActivationFault`, or `LearningFault` if it must see training
samples first) or those of a donor in their place (`DonorFault`); which label token gets which
score (`LabelFault`); or the model's weights, before it is run at all (`WeightFault`). Nothing else
of a batch can be changed, so whoever keeps inputs, or leaves work out, asks what kind of fault it
is.
"""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from extract.anatomy import Anatomy, BatchFacts, Locus
from extract.faults.donors import DonorBatch, SampleRow
from extract.faults.edit_hooks import editing
from extract.faults.fault import Fault, FaultKind
from extract.models import Inputs, Session
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ANSWER, LLM, VISION

Labelled = tuple[Inputs, Sequence[int]]
"""A batch's inputs on the CPU, and the class index of every sample."""
Phrases = Sequence[Sequence[int]]
"""The tokens of every class's phrase."""


@dataclass(frozen=True)
class StruckBatch:
    """A batch under way: its layout, its samples, and for each swap its donors."""

    facts: BatchFacts
    sample_ids: Sequence[str]
    donors: Mapping[str, DonorBatch] = field(default_factory=dict)


@dataclass
class Injection:
    """What the hooks of faults look at while the model runs.

    `learned` holds what learning faults learned, by fault and part of the site; `batch` is the one
    under way, None between batches; `donated` are its donors' activations at the sites of donor
    faults, by fault, part of the site and donor: each (rows, width).
    """

    session: Session
    learned: Mapping[str, Sequence[Any]]
    batch: StruckBatch | None = None
    donated: Mapping[str, list[list[Tensor]]] = field(default_factory=dict)

    def facts(self) -> BatchFacts | None:
        return None if self.batch is None else self.batch.facts


@dataclass(frozen=True)
class Strike:
    """What a change of one sample's activations may draw on.

    `generator` is seeded by the sample, `fixed` by the fault alone; `learned` is what a learning
    fault learned for this part of its site.
    """

    severity: float
    generator: torch.Generator
    fixed: torch.Generator
    learned: Any = None


class ImageFault(FaultKind):
    """Changes the image before the model's preprocessing sees it."""

    stages = (VISION,)
    has_layers: ClassVar[bool] = False

    @abstractmethod
    def change_image(self, image: Image.Image, fault: Fault) -> Image.Image:
        """The image in its place, of the same size."""


class SiteFault(FaultKind):
    """Acts inside the running model, at a locus.

    `only_image_tokens`: in the decoder too it strikes image tokens of the prompt alone, so it needs
    a model that has some. `all_rows`: it strikes everything at its site, a tower's CLS too.
    """

    only_image_tokens: ClassVar[bool] = False
    all_rows: ClassVar[bool] = False

    @abstractmethod
    def attached(
        self, fault: Fault, site: Locus, injection: Injection
    ) -> AbstractContextManager[None]:
        """Keeps the hooks registered that strike every batch of the injection."""

    def strikes_all_rows(self, fault: Fault) -> bool:
        """Whether all of a sample's rows are struck, CLS and text among them, or image tokens."""
        return self.all_rows or (fault.stage == LLM and not self.only_image_tokens)


class ActivationFault(SiteFault):
    """Changes every sample's activations at its site."""

    @abstractmethod
    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        """What stands in place of one sample's activations, fp32 (rows, width)."""

    def strikes(self, fault: Fault, sample_id: str) -> bool:
        """Whether this sample is struck at all."""
        return True

    def attached(
        self, fault: Fault, site: Locus, injection: Injection
    ) -> AbstractContextManager[None]:
        learned = injection.learned.get(str(fault))

        def edit(rows: Tensor, index: int, part: int) -> Tensor:
            assert injection.batch is not None
            sample_id = injection.batch.sample_ids[index]
            if not self.strikes(fault, sample_id):
                return rows
            strike = Strike(
                fault.severity,
                seeded(fault, sample_id, part),
                seeded(fault, "every sample", part),
                None if learned is None else learned[part],
            )
            changed = self.change_rows(rows.float(), strike)
            if getattr(changed, "shape", None) != rows.shape:
                raise LayerhouseError(
                    f"the fault {fault} gives {_form(changed)} for rows {_form(rows)}: change_rows "
                    "of its kind has to give as many of the same width"
                )
            return changed.to(rows.dtype)

        every = self.strikes_all_rows(fault)
        return editing(injection.session, site, injection.facts, edit, every)


def _form(rows: Any) -> str:
    return str(list(rows.shape)) if isinstance(rows, Tensor) else f"a {type(rows).__name__}"


class LearningFault(ActivationFault):
    """An activation fault that has to see samples of the train split before it can strike."""

    @abstractmethod
    def learns_from(self, fault: Fault, order: Sequence[str]) -> Sequence[str]:
        """Which of the train samples, given in the dataset's mixed order, it wants to see."""

    @abstractmethod
    def learn(
        self, fault: Fault, session: Session, site: Locus, batches: Iterable[Labelled]
    ) -> Sequence[Any]:
        """What a strike at each part of the site finds as `Strike.learned`."""


class DonorFault(SiteFault):
    """Gives struck samples all of another image's activations at its site."""

    all_rows = True

    @abstractmethod
    def donors(self, fault: Fault, samples: Iterable[SampleRow]) -> dict[str, str]:
        """For every struck sample of a whole dataset the sample whose activations it gets."""

    def attached(
        self, fault: Fault, site: Locus, injection: Injection
    ) -> AbstractContextManager[None]:
        def edit(rows: Tensor, index: int, part: int) -> Tensor:
            assert injection.batch is not None
            donors = injection.batch.donors.get(str(fault))
            if donors is None or index not in donors.rows:
                return rows
            taken = injection.donated[str(fault)][part][donors.rows.index(index)]
            if taken.shape != rows.shape:
                raise LayerhouseError(
                    f"{fault}: {injection.batch.sample_ids[index]} has activations of shape "
                    f"{tuple(rows.shape)}, its donor {tuple(taken.shape)}"
                )
            return taken

        every = self.strikes_all_rows(fault)
        return editing(injection.session, site, injection.facts, edit, every)


class LabelFault(FaultKind):
    """Gives label tokens the scores of others."""

    stages = (ANSWER,)

    @abstractmethod
    def permutation(self, fault: Fault, phrases: Sequence[Sequence[int]]) -> dict[int, int]:
        """Token id → the id whose score it gets, for classes of these phrases' tokens.

        Raises UsageError where the phrases give nothing to permute.
        """

    def meaning(self, fault: Fault, phrases: Sequence[Sequence[int]]) -> Hashable:
        return frozenset(self.permutation(fault, phrases).items())


class WeightFault(FaultKind):
    """Changes weights of a stage as the model is loaded, before an adapter is merged into them.

    So an adapter that was trained on a damaged model finds what it was trained on.
    """

    @abstractmethod
    def change(self, fault: Fault, model: Any, anatomy: Anatomy, phrases: Phrases) -> None:
        """Change the loaded model's weights, of all of the fault's stage or of its layer.

        Raises UsageError for a layer that the stage does not have.
        """


def seeded(fault: Fault, *about: object) -> torch.Generator:
    """A generator on the CPU for this fault and one subject, such as a sample's id."""
    return torch.Generator().manual_seed(fault.torch_seed(*about))
