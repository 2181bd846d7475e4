"""The recipe of a training, and what its epochs came to."""

from dataclasses import dataclass

SMALL_MODEL = 100_000_000
"""Parameters up to which a model takes the larger of the two default steps."""


@dataclass(frozen=True)
class MendRecipe:
    """How a repair is trained.

    `learning_rate` None is 1e-3 for models of up to 100 million parameters and 2e-4 for larger ones
    (as QLoRA has it for 7 to 13 billion: Dettmers et al. 2023, table 9), and ten times that for the
    epochs that are left where the first ones bring nothing: weights that are far too large are not
    learned back in steps that suit healthy ones. A step is taken after `accumulate` batches of
    `batch_size`. Training ends after `epochs`, after `patience` of them without a higher score or a
    lower loss on val, or behind the epoch in which `minutes` have passed. At most `images` of train
    are used. `checkpointing` computes activations anew for the gradient, which takes a third longer
    and a fraction of the memory.
    """

    learning_rate: float | None = None
    batch_size: int = 16
    accumulate: int = 1
    epochs: int = 8
    patience: int = 2
    rank: int = 8
    seed: int = 0
    images: int | None = None
    minutes: float | None = None
    checkpointing: bool = False
    shuffled: bool = False

    def step_of(self, n_parameters: int) -> float:
        """The learning rate for a model of so many parameters."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-3 if n_parameters <= SMALL_MODEL else 2e-4


@dataclass(frozen=True)
class MendEpoch:
    """One epoch: mean loss of a train answer's token, and of val the dataset's score and the mean
    negative log-probability of the right class among the classes. MendEpoch 0 is before training.
    `learning_rate` is the largest of its steps', None where none are taken.
    """

    number: int
    train_loss: float | None
    val_score: float
    val_loss: float
    seconds: float
    learning_rate: float | None = None


def best_epoch(history: list[MendEpoch]) -> MendEpoch:
    """The highest score on val, of equal ones the lowest loss; where nothing helped, epoch 0."""
    return max(history, key=lambda epoch: (epoch.val_score, -epoch.val_loss, -epoch.number))


def begun_behind(history: list[MendEpoch]) -> int:
    """The number of the epoch behind which the last one's training began: 0, or where it began anew
    at another rate.
    """
    rate = history[-1].learning_rate
    return max((epoch.number for epoch in history if epoch.learning_rate != rate), default=0)


def fruitless_epochs(history: list[MendEpoch]) -> int:
    """How many epochs ago val last gained, a higher score or a lower loss, or training began.

    A model that answers nothing rightly yet scores at chance for epochs while its loss falls.
    """
    lowest = min(history, key=lambda epoch: epoch.val_loss)
    gained = max(best_epoch(history).number, lowest.number)
    return history[-1].number - max(gained, begun_behind(history))
