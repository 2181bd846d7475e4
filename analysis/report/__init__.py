"""One self-contained HTML file that shows where the class signal gets lost."""

from analysis.report.report import report

__all__ = ["report"]
