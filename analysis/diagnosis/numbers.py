"""Numbers as verdicts say them: points, percent and intervals."""

from __future__ import annotations


def points(share: float) -> str:
    """A share of the samples in percentage points, e.g. '31 points' or '0.6 points'."""
    return f"{number(share)} points"


def number(share: float) -> str:
    """The same without the word."""
    value = 100 * share
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def within(lower: float | None, upper: float | None) -> str:
    """' (95% interval 91 to 104)', in hundredths; nothing where there is none."""
    if lower is None or upper is None:
        return ""
    digits = 0 if upper >= 0.0995 else 1
    return f" (95% interval {100 * lower:.{digits}f} to {100 * upper:.{digits}f})"
