"""One self-contained HTML file that shows where the class signal gets lost."""

from analysis.report.page import report

__all__ = ["report"]
