"""What runs were of, and which of them rest on which."""

from dataclasses import dataclass

from warehouse.vocabulary import BY_SAMPLE, EVIDENCE, MADE_FROM

REMOVE = "remove"
"""The command whose runs take others out: their configuration names these."""

COMPACT = "compact"
"""The command whose commits take the place of others."""

REMOVABLE = ("dataset", "model", "run")
"""What can be removed by its name."""

SAMPLES = "samples"
"""What a removal is of that takes samples out of a dataset."""


@dataclass(frozen=True)
class RunFacts:
    """What a run was of: all that decides what rests on what.

    `base` is the model that `model_id` was compared with; `registers` tells whether the run brought
    the dataset itself.
    """

    run_id: str
    command: str
    model_id: str | None
    dataset_id: str | None
    base: str | None = None
    registers: bool = False

    def rests_on(self, other: "RunFacts") -> bool:
        """Whether this run's rows are about what the other brought, or were made from its rows."""
        if self.command == REMOVE or self.registers or self.run_id == other.run_id:
            return False
        if self.dataset_id is None or self.dataset_id != other.dataset_id:
            return False
        if other.registers:
            return True
        made_from = MADE_FROM.get(self.command, EVIDENCE)
        return other.command in made_from and other.model_id in (None, self.model_id, self.base)

    def counted_over(self, dataset_id: str) -> bool:
        """Whether the run's rows are of a dataset as a whole, and would be others without one of
        its samples."""
        return (
            self.dataset_id == dataset_id
            and not self.registers
            and self.command not in (*BY_SAMPLE, REMOVE, COMPACT)
        )


@dataclass(frozen=True)
class TakenOut:
    """A run of which a removal took out every commit up to the number `last`.

    Numbers are never given again, so that the same run done anew has commits of other names.
    """

    run: RunFacts
    last: int
