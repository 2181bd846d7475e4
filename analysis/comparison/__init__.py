"""Two models side by side on the same test samples."""

from analysis.comparison.comparing import Comparison, Difference, LeftOut, compare, compare_all

__all__ = ["Comparison", "Difference", "LeftOut", "compare", "compare_all"]
