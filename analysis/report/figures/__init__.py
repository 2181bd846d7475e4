"""The report's figures; each takes what `reading` read and gives what draws it, or None."""

from analysis.report.figures.causal import causal
from analysis.report.figures.confusion import confusion
from analysis.report.figures.health_profile import health_profile
from analysis.report.figures.lens import lens
from analysis.report.figures.nuisance import nuisance
from analysis.report.figures.overlay import MOST, Panel, overlay
from analysis.report.figures.overview import overview
from analysis.report.figures.ownership import ownership
from analysis.report.figures.pairs import pairs
from analysis.report.figures.projection import projection
from analysis.report.figures.prompts import prompts
from analysis.report.figures.self_test import self_test
from analysis.report.figures.signal_curve import signal_curve
from analysis.report.figures.waterfall import waterfall

__all__ = [
    "MOST",
    "Panel",
    "causal",
    "confusion",
    "health_profile",
    "lens",
    "nuisance",
    "overlay",
    "overview",
    "ownership",
    "pairs",
    "projection",
    "prompts",
    "self_test",
    "signal_curve",
    "waterfall",
]
