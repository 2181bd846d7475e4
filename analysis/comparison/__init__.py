"""Two models side by side on the same test samples."""

from analysis.comparison.comparison import Comparison, Difference, compare, compare_all

__all__ = ["Comparison", "Difference", "compare", "compare_all"]
