"""What other packages build on to bring their own; `docs/extending.md` shows how.

Each name is loaded when it is asked for, so that a package of datasets does without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from warehouse.vocabulary import ReadoutFacts

if TYPE_CHECKING:
    from extract.datasets import Contents, DatasetSource, Item
    from extract.faults import (
        ActivationFault,
        DonorFault,
        Fault,
        FaultKind,
        ImageFault,
        LabelFault,
        LearningFault,
        Severity,
        SiteFault,
        Strike,
        WeightFault,
        register_fault,
    )
    from extract.models import ModelPlugin, register
    from extract.reading import AverageReadout, RowReadout, register_readout

__all__ = [
    "ActivationFault",
    "AverageReadout",
    "Contents",
    "DatasetSource",
    "DonorFault",
    "Fault",
    "FaultKind",
    "ImageFault",
    "Item",
    "LabelFault",
    "LearningFault",
    "ModelPlugin",
    "ReadoutFacts",
    "RowReadout",
    "Severity",
    "SiteFault",
    "Strike",
    "WeightFault",
    "register",
    "register_fault",
    "register_readout",
]

_DOORS = ("extract.datasets", "extract.models", "extract.reading", "extract.faults")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for door in map(import_module, _DOORS):
            if name in door.__all__:
                return getattr(door, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
