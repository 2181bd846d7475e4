"""What a repair is: some parameters of one stage, trained while all others stay as they are."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from extract.mending.learning import learn
from extract.mending.recipe import MendEpoch
from extract.mending.school import School
from extract.models import adaptable

OnEpoch = Callable[[MendEpoch], None]


@dataclass(frozen=True)
class TrainedRepair:
    """What a repair trained: a model of peft that holds it, and how that went."""

    tuned: Any
    n_parameters: int
    history: list[MendEpoch]


class Repair(ABC):
    """One way to mend a stage."""

    name: ClassVar[str]
    stage: ClassVar[str]

    @abstractmethod
    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        """Train it, and leave the model mended, at its best epoch on val."""

    @property
    def title(self) -> str:
        return f"{self.stage}/{self.name}"


class GradientRepair(Repair):
    """A repair that is learned step by step, as an adapter of peft says which parameters."""

    @abstractmethod
    def adapter(self, school: School) -> Any:
        """The configuration of peft."""

    def train(self, school: School, on_epoch: OnEpoch) -> TrainedRepair:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(school.recipe.seed)
            tuned = adaptable(school.session.model, self.adapter(school))
        return TrainedRepair(tuned, *learn(school, on_epoch))
