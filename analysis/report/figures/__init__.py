"""The report's figures; each takes what `reading` read and returns inline SVG."""

from analysis.report.figures.health_profile import health_profile
from analysis.report.figures.overview import overview
from analysis.report.figures.signal_curve import signal_curve
from analysis.report.figures.waterfall import waterfall

__all__ = ["health_profile", "overview", "signal_curve", "waterfall"]
