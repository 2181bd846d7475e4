"""Parts: what scores a model's classes in the place of their phrases, fitted and saved beside it.

A part is a few numbers that turn what is known of a sample at the last token of its prompt into
log-probabilities of the classes: the likelihoods of their phrases, or what some modules are given
there. The weights stay as they are. `parts/` has one file per part.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from extract.models import Inputs, Session, failing_as
from warehouse.errors import LayerhouseError
from warehouse.files import permit_as_usual


class Place(NamedTuple):
    """A module whose input is listened to, and the widths of what that is made of."""

    path: str
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Lesson:
    """What a part is fitted on: fp32 [n, …] as it is given it, class indices [n] and what samples
    weigh [n]; `widths` are those of all places.
    """

    given: Tensor
    classes: Tensor
    weights: Tensor
    n_classes: int
    widths: Sequence[int] = ()


@dataclass(frozen=True)
class AnswerPart(ABC):
    """A way of scoring classes: `stage` is the one whose repair it is.

    Of its numbers those that were learned are fp32; int64 says of what they are.
    """

    name: ClassVar[str]
    stage: ClassVar[str]
    kept: ClassVar[tuple[str, ...]]
    """Its numbers by name; the first has a row for every class."""

    numbers: Mapping[str, Tensor]

    @classmethod
    def places(cls, session: Session, inputs: Inputs) -> Sequence[Place]:  # noqa: ARG003
        """What it listens to, found with the inputs of one image on the device; by default nothing:
        then it is given the log-likelihoods of the classes' phrases.
        """
        return ()

    @classmethod
    def wanted(cls, classes: Sequence[int]) -> Sequence[int]:
        """Which of the train samples it learns from, by their places in their order."""
        return range(len(classes))

    @classmethod
    @abstractmethod
    def counted(cls, n_classes: int, widths: Sequence[int]) -> int:
        """How many numbers it learns of so many classes from places of these widths."""

    @classmethod
    @abstractmethod
    def fits(cls, lesson: Lesson) -> Iterator[tuple["AnswerPart", float]]:
        """Parts to choose from on val, each with its mean loss on the lesson."""

    @abstractmethod
    def logprobs(self, given: Tensor) -> Tensor:
        """Log-probabilities of the classes (n, classes) that sum to one, of what is given."""

    @classmethod
    def title(cls) -> str:
        return f"{cls.stage}/{cls.name}"

    def on(self, device: torch.device) -> Self:
        """The same with what was learned on a device."""
        numbers = {
            name: one.to(device) if one.is_floating_point() else one
            for name, one in self.numbers.items()
        }
        return replace(self, numbers=numbers)

    @property
    def n_parameters(self) -> int:
        learned = (one for one in self.numbers.values() if one.is_floating_point())
        return sum(one.numel() for one in learned)

    def save(self, path: Path, classes: Sequence[str]) -> None:
        """Write it with the phrases of the classes that it tells apart, in their order."""
        from safetensors.torch import save_file

        told = {"part": self.title(), "classes": json.dumps(list(classes))}
        numbers = {name: one.cpu().contiguous() for name, one in self.numbers.items()}
        save_file(numbers, path, told)
        permit_as_usual(path)


def read_numbers(path: Path) -> tuple[str, list[str], dict[str, Tensor]]:
    """Which part a file holds, of which classes, and its numbers. LayerhouseError for any other."""
    from safetensors import safe_open

    with failing_as(f"{path} is no part that answers"), safe_open(path, "pt") as file:
        told = file.metadata() or {}
        title, classes = str(told["part"]), [str(each) for each in json.loads(told["classes"])]
        numbers = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    bad = [name for name, one in numbers.items() if not one.isfinite().all()]
    if bad:
        raise LayerhouseError(f"{path} holds values that are not finite in {bad[0]}")
    return title, classes, numbers


class Listener:
    """Keeps what some modules were given at the last position in the newest forward pass."""

    def __init__(self, session: Session, places: Sequence[Place]) -> None:
        self.places = places
        self.device = session.loaded.device
        self._heard: dict[str, Tensor] = {}
        self._handles = [self._listen(session, place.path) for place in places]

    def _listen(self, session: Session, path: str) -> torch.utils.hooks.RemovableHandle:
        def keep(_: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
            self._heard[path] = args[0][..., -1, :].detach().clone()

        handle: torch.utils.hooks.RemovableHandle = session.model.get_submodule(
            path
        ).register_forward_pre_hook(keep)
        return handle

    @property
    def widths(self) -> list[int]:
        return [width for place in self.places for width in place.widths]

    def take(self) -> Tensor:
        """All of it side by side, fp32 (n, sum of the widths)."""
        heard, self._heard = self._heard, {}
        missing = [place.path for place in self.places if place.path not in heard]
        if missing:
            raise LayerhouseError(f"{missing[0]} did not run where it was listened to")
        parts = [heard[place.path].to(self.device, torch.float32) for place in self.places]
        return torch.cat(parts, dim=1)

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()


@dataclass(frozen=True)
class WorkingPart:
    """A part in a model that it listens to for as long as that is there."""

    part: AnswerPart
    listener: Listener

    @property
    def listens(self) -> bool:
        return bool(self.listener.places)

    def scores(self, likelihoods: Tensor | None, n: int) -> Tensor:
        """Log-probabilities of the classes (n, classes), of their likelihoods, or without these of
        what was heard in the newest forward pass.
        """
        given = self.listener.take() if likelihoods is None else likelihoods
        if len(given) != n:
            raise LayerhouseError(
                f"{self.part.title()} heard of {len(given)} samples where {n} were asked about"
            )
        return self.part.logprobs(given.to(self.listener.device))
