"""Loci along an axis: the number of each layer below it, the stages' names above."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import axes_in_pixels, lines_across
from analysis.report.palette import colour
from analysis.report.reading import Row
from analysis.report.words import STAGE_NAMES

SHORT = {"vision": "vision", "connector": "conn.", "llm": "LLM"}
LEAST = 22
"""Pixels from one number to the next."""

HEAD = 26
"""Pixels above the axes that the names take."""


def axes_over_loci(
    figure: Figure, at: Mapping[float, Row], is_narrow: bool, what: str, low: float
) -> Axes:
    """Axes for curves of percents, from `low` up, over loci that stand `at` places; labels go to
    the right."""
    right = 96 if is_narrow else 158
    axes = axes_in_pixels(figure, left=46, right=right, top=HEAD, bottom=42)
    axes.set_xlim(min(at) - 0.5, max(at) + 0.5)
    axes.set_ylim(low, 104)
    axes.set_ylabel(f"{what} (%)")
    axes.set_xlabel("layer within each stage")
    ticks = name_loci(axes, at, is_narrow)
    axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    lines_across(axes)
    return axes


def number_step(axes: Axes, n_units: float) -> int:
    """How many layers apart numbers fit below an axis that is so many layers wide."""
    room = axes.get_window_extent().width * 72 / axes.figure.dpi / n_units
    return next(step for step in (1, 2, 4, 8, 16, 32, 64, 128) if step * room >= LEAST)


def name_stage(axes: Axes, x: float, stage: str, is_narrow: bool) -> None:
    """The name of a stage, or of the answer, above the middle of its loci."""
    axes.annotate(
        SHORT.get(stage, stage) if is_narrow else STAGE_NAMES[stage],
        (x, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=11,
        color=colour("muted"),
        annotation_clip=False,
    )


def name_loci(axes: Axes, at: Mapping[float, Row], is_narrow: bool) -> list[tuple[float, str]]:
    """Names the stages of the loci that stand `at` places of the axis, whose limits are set;
    returns where numbers of layers stand, and which."""
    low, high = axes.get_xlim()
    step = number_step(axes, high - low)
    stages: dict[str, list[tuple[float, Row]]] = {}
    for x, row in sorted(at.items(), key=lambda item: item[0]):
        stages.setdefault(row["module"], []).append((x, row))
    ticks: list[tuple[float, str]] = []
    for stage, loci in stages.items():
        name_stage(axes, (loci[0][0] + loci[-1][0]) / 2, stage, is_narrow)
        ticks += [(x, str(row["layer"])) for x, row in loci[::step]]
    return ticks
