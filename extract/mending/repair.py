"""What a repair is: some parameters of one stage, trained while all others stay as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from extract.mending.learning import learn
from extract.mending.recipe import MendEpoch
from extract.mending.school import School
from extract.models import adaptable
from warehouse.files import permit_as_usual

OnEpoch = Callable[[MendEpoch], None]


@dataclass(frozen=True)
class TrainedRepair:
    """What a repair trained, and how that went; `save` writes it into a folder.

    It learned from `n_train` samples, None where from all that there were.
    """

    save: Callable[[Path], None]
    n_parameters: int
    history: list[MendEpoch]
    n_train: int | None = None


class Repair(ABC):
    """One way to mend a stage."""

    name: ClassVar[str]
    stage: ClassVar[str]
    needs_peft: ClassVar[bool] = True
    examinations: ClassVar[int] = 1
    """How often val is looked at, where that is not once an epoch."""

    @abstractmethod
    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        """Train it, and leave the model mended, at its best epoch on val."""

    def counted(self, school: School) -> int | None:
        """How many parameters it would train; None where training alone tells."""
        return None

    @property
    def title(self) -> str:
        return f"{self.stage}/{self.name}"


class GradientRepair(Repair):
    """A repair that is learned step by step, as an adapter of peft says which parameters."""

    @abstractmethod
    def adapter(self, school: School) -> Any:
        """The configuration of peft."""

    def attach(self, school: School) -> Any:
        """The model with the adapter on it, untrained."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(school.recipe.seed)
            return adaptable(school.session.model, self.adapter(school))

    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        return TrainedRepair(saving(self.attach(school)), *learn(school, on_epoch))


def saving(tuned: Any) -> Callable[[Path], None]:
    """What writes the adapter of a model of peft into a folder."""

    def save(folder: Path) -> None:
        # Told to look whether embeddings changed, peft asks the hub for the base's configuration.
        tuned.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
        for weights in folder.glob("*.safetensors"):
            permit_as_usual(weights)

    return save
