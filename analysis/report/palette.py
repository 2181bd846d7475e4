"""Colours by meaning: the same figure works in light, dark and print, and for colour-blind eyes.

matplotlib draws with a sentinel colour per role; in the finished SVG every sentinel becomes a CSS
variable, whose value the stylesheet gives for light and dark. The hues are Okabe and Ito's and Paul
Tol's, lightened for dark; whatever a hue says, a label, marker or dash pattern says too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# role: (light, dark)
ROLES: dict[str, tuple[str, str]] = {
    "ink": ("#1b1f24", "#e8eaed"),
    "muted": ("#57606a", "#a3adb8"),
    "line": ("#d5dae0", "#363d46"),
    "surface": ("#ffffff", "#171b21"),
    "page": ("#f5f6f8", "#0e1116"),
    "band": ("#eef1f4", "#1e242c"),
    "accent": ("#0b57a4", "#7db8f0"),
    "mean": ("#0072b2", "#56b4e9"),
    "last": ("#c24e00", "#ff9d5c"),
    "grid": ("#00795a", "#3ccfa4"),
    "cls": ("#a3478a", "#e3a0cb"),
    "available": ("#9aa4ae", "#6b7681"),
    "vision": ("#3d6fa1", "#6f9fd0"),
    "connector": ("#8a6500", "#e0b43c"),
    "llm": ("#aa3377", "#d977ad"),
    "answer": ("#c0392b", "#f0796c"),
    "kept": ("#5b6670", "#97a2ad"),
    "cyan": ("#00798c", "#6fd3de"),
    "indigo": ("#5b4bb7", "#a99cf5"),
    "brown": ("#7a4a21", "#cfa27a"),
    "good": ("#1a7f37", "#57c973"),
}

FOR, AGAINST = (240, 110, 30), (60, 150, 230)
"""Of what lies over images: seen on grey ones as on coloured ones, and told apart by colour-blind
eyes."""

_SENTINELS = {role: f"#0a0b{number:02x}" for number, role in enumerate(ROLES, start=1)}
_BY_SENTINEL = {sentinel: role for role, sentinel in _SENTINELS.items()}


_ON_PAPER = ContextVar("on_paper", default=False)


def colour(role: str) -> str:
    """The colour to draw with in matplotlib for this role."""
    return ROLES[role][0] if _ON_PAPER.get() else _SENTINELS[role]


@contextmanager
def on_paper() -> Iterator[None]:
    """What is drawn in this block has its light colours itself, and needs no stylesheet."""
    before = _ON_PAPER.set(True)
    try:
        yield
    finally:
        _ON_PAPER.reset(before)


def with_variables(svg: str) -> str:
    """Replace every sentinel in a style by its CSS variable. KeyError for a colour of no role."""

    def variable(match: re.Match[str]) -> str:
        return f"var(--{_BY_SENTINEL[match.group().lower()]})"

    def styled(match: re.Match[str]) -> str:
        return re.sub(r"#[0-9a-fA-F]{6}\b", variable, match.group())

    return re.sub(r'style="[^"]*"', styled, svg)


def css(scheme: int) -> str:
    """The variables' values for light (0) or dark (1)."""
    return " ".join(f"--{role}: {values[scheme]};" for role, values in ROLES.items())
