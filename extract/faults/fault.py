"""What a fault is: damage of one kind, done on purpose at one place of a healthy model.

Destroying kinds take information away at a stage, so that stage is what a diagnosis must name.
Shifting kinds disturb, and may leave the information readable.
"""

import random
from abc import ABC
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar

from warehouse.errors import UsageError
from warehouse.vocabulary import MODULES


@dataclass(frozen=True)
class Severity:
    """What the number in a fault's text means, and which numbers it may be.

    At most `high`, and at least `low`, or above it where that is 0; `whole` numbers only or any.
    """

    meaning: str
    default: float
    low: float = 0
    high: float = 1
    whole: bool = False

    def check(self, spec: str, severity: float) -> None:
        """Raise UsageError that says what the severity of `spec` may be, unless it is that."""
        above = severity > 0 if self.low == 0 else severity >= self.low
        if above and severity <= self.high and not (self.whole and severity != int(severity)):
            return
        bound = f"above 0 and at most {self.high:g}" if self.low == 0 else f"from {self.low:g}"
        number = "a whole number" if self.whole else "a number"
        raise UsageError(f"the severity of {spec!r} is the {self.meaning}: {number} {bound}")


class FaultKind(ABC):
    """One kind of fault; `extract.faults.effects` has a base class for each thing to act on.

    `stages` are where it can strike, `destroying` tells whether it takes the class away there, so
    that this stage is the true one; `has_layers` whether a text may name a layer. Without one it
    strikes where the stage ends or, `from_start`, where the decoder begins. `has_closed_form` says
    that what it costs follows from its severity, because a struck sample shows what an unrelated
    image shows.

    The self-test tries it at `trial_stages` (by default all of `stages`): a destroying kind, whose
    severity is a share, with every share that it is asked for, a shifting one with
    `trial_severities`, from mild to harsh (by default as it is written without one).
    """

    name: ClassVar[str]
    severity: ClassVar[Severity]
    stages: ClassVar[tuple[str, ...]] = MODULES
    destroying: ClassVar[bool] = False
    has_layers: ClassVar[bool] = True
    from_start: ClassVar[bool] = False
    has_closed_form: ClassVar[bool] = False
    trial_stages: ClassVar[tuple[str, ...]] = ()
    trial_severities: ClassVar[tuple[float, ...]] = ()

    def meaning(self, fault: "Fault", phrases: Sequence[Sequence[int]]) -> Hashable:
        """What the fault comes to for classes of these phrases' tokens: faults that mean the same
        are one trial.
        """
        return str(fault)


@dataclass(frozen=True)
class Fault:
    """One fault, as its text says."""

    kind: FaultKind
    stage: str
    layer: int | None
    severity: float
    seed: int = 0

    def __str__(self) -> str:
        layer = "" if self.layer is None else f".{self.layer}"
        seed = f",seed={self.seed}" if self.seed else ""
        return f"{self.kind.name}@{self.stage}{layer}:{self.severity:g}{seed}"

    def random(self, *about: object) -> random.Random:
        """A random source for this fault and one subject, such as a sample's id."""
        return random.Random(self._hash(*about))

    def torch_seed(self, *about: object) -> int:
        return self._hash(*about) % 2**63

    def _hash(self, *about: object) -> int:
        # Severity is left out: a stronger fault of one seed strikes the same samples and more.
        text = "\0".join(map(str, (self.kind.name, self.stage, self.seed, *about)))
        return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")
