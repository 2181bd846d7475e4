"""Which kinds of faults there are: those of `extract.faults.kinds` and those of other packages.

A package names a class, derived from one of `extract.faults.effects`, as an entry point of the
group `layerhouse.faults`; Python code may call `register_fault` instead.
"""

import re

from extract.faults.fault import FaultKind
from extract.faults.kinds import OWN_KINDS
from extract.faults.words import GROUP, registered
from warehouse.errors import UsageError, nearest
from warehouse.extensions import installed
from warehouse.vocabulary import STAGES


def register_fault(kind: FaultKind) -> FaultKind:
    """Make a kind of fault known to this process; another one of the same name is replaced.

    Raises UsageError for a kind that could not be written or told from one of ours.
    """
    _check(kind)
    registered[kind.name] = kind
    return kind


def fault_kinds() -> dict[str, FaultKind]:
    """Every kind of fault by name, ours first."""
    brought = installed(GROUP, FaultKind).values()
    for kind in brought:
        _check(kind)
    own = {kind.name: kind for kind in OWN_KINDS}
    return own | {kind.name: kind for kind in brought} | registered


def kind_named(name: str) -> FaultKind:
    """The kind of fault of this name; UsageError with the nearest one if there is none."""
    kinds = fault_kinds()
    if name not in kinds:
        raise UsageError(f"unknown kind of fault {name!r}{nearest(name, kinds)}")
    return kinds[name]


def _check(kind: FaultKind) -> None:
    about = f"the kind of fault {kind.name!r} of {type(kind).__module__}"
    if not re.fullmatch("[a-z]+", kind.name):
        raise UsageError(f"{about} cannot be written in a fault's text; name it in letters a to z")
    if any(kind.name == own.name for own in OWN_KINDS):
        raise UsageError(f"{about} has the name of one that Layerhouse brings; give it another")
    strange = sorted({*kind.stages, *kind.trial_stages} - set(STAGES))
    if strange or not kind.stages:
        said = f"strikes at {', '.join(strange)}" if strange else "strikes nowhere"
        raise UsageError(f"{about} {said}; stages are {', '.join(STAGES)}")
    if kind.destroying and (kind.severity.low, kind.severity.high) != (0, 1):
        raise UsageError(f"{about} is destroying, so its severity must be a share, from 0 to 1")
