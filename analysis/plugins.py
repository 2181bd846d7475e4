"""What other packages build on to bring probe kinds of their own; `docs/extending.md` shows how."""

from analysis.logits import widen
from analysis.probes import (
    Fits,
    LabelledVectors,
    Moments,
    ProbeData,
    ProbeKind,
    seen_classes,
    standardise,
)

__all__ = [
    "Fits",
    "LabelledVectors",
    "Moments",
    "ProbeData",
    "ProbeKind",
    "seen_classes",
    "standardise",
    "widen",
]
