"""Figures of the report as parts of a page, whose points say what they are."""

from __future__ import annotations

from threading import Lock

from markupsafe import Markup

from analysis.report import Drawing, pointed_out

_DRAWING = Lock()
"""matplotlib's settings are those of the whole process, and two pages may be drawn at once."""


def drawn(drawing: Drawing | None) -> Markup | None:
    """The figure as SVG, wide and narrow; None for one that there is not."""
    if drawing is None:
        return None
    with _DRAWING, pointed_out():
        return drawing.__html__()
