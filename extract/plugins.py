"""What other packages build on to bring their own; `docs/extending.md` shows how.

Each name is loaded when it is asked for, so that a package of datasets does without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.datasets.source import Contents, DatasetSource, Item
    from extract.faults.effects import (
        ActivationFault,
        DonorFault,
        ImageFault,
        LabelFault,
        LearningFault,
        SiteFault,
        Strike,
    )
    from extract.faults.fault import Fault, FaultKind, Severity
    from extract.faults.registry import register_fault
    from extract.models.plugins import ModelPlugin, register
    from extract.reading.readouts import AverageReadout, RowReadout, register_readout
    from warehouse.vocabulary import ReadoutFacts

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
    "register",
    "register_fault",
    "register_readout",
]

_HOMES = (
    "extract.datasets.source",
    "extract.models.plugins",
    "extract.reading.readouts",
    "extract.faults.fault",
    "extract.faults.effects",
    "extract.faults.registry",
)
"""Where the names are defined, the light ones first."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            if hasattr(module := import_module(home), name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
