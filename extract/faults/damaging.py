"""Damaging: what faults of weights do to a model as it is loaded."""

from collections.abc import Sequence
from typing import Any

from extract.anatomy import Anatomy
from extract.faults.effects import Phrases, WeightFault
from extract.faults.fault import Fault


def strikes_weights(faults: Sequence[Fault]) -> bool:
    return any(isinstance(fault.kind, WeightFault) for fault in faults)


def change_weights(faults: Sequence[Fault], model: Any, anatomy: Anatomy, phrases: Phrases) -> None:
    """Have a loaded model's weights changed by those of the faults that act on them, in order."""
    for fault in faults:
        if isinstance(fault.kind, WeightFault):
            fault.kind.change(fault, model, anatomy, phrases)
