"""Probes: classifiers that tell how well the class can be read at a locus."""

from analysis.probes.kinds.linear import LinearProbe
from analysis.probes.kinds.mlp import MlpProbe
from analysis.probes.probe_kind import ProbeKind
from analysis.probes.probing import ProbeSummary, probe
from analysis.probes.registry import find_kind, probe_kinds

__all__ = [
    "LinearProbe",
    "MlpProbe",
    "ProbeKind",
    "ProbeSummary",
    "find_kind",
    "probe",
    "probe_kinds",
]
