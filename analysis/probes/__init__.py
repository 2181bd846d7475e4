"""Probes: classifiers that tell how well the class can be read at a locus."""

from analysis.probes.fitting import KINDS, ProbeSummary, default_options, probe
from analysis.probes.linear import LinearOptions
from analysis.probes.mlp import MlpOptions
from warehouse.vocabulary import CONTROLS

__all__ = [
    "CONTROLS",
    "KINDS",
    "LinearOptions",
    "MlpOptions",
    "ProbeSummary",
    "default_options",
    "probe",
]
