"""The signal curves of several models in one figure, a panel for each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import (
    axes_in_pixels,
    fitted,
    lines_across,
    mark,
    percent,
    pixels,
    shortened,
)
from analysis.report.palette import colour
from analysis.report.reading import Row
from analysis.report.svg import NARROW, WIDE, Drawing
from analysis.report.words import measured
from warehouse.vocabulary import ANSWER, MODULES, STAGES

HUES = ("mean", "last", "grid", "cls", "connector", "ink", "kept")
MARKERS = "o^sDvPX"
DASHES = ("-", (0, (4, 1.5)))
MOST = len(HUES) * len(DASHES)
"""Models that one figure can tell apart by hue, marker and dash."""

ACROSS = 3
"""Panels side by side in a wide figure; in a narrow one they stand below each other."""
PANEL, FOOT, LINE = 240, 8, 17
LETTER = 6.9
"""Pixels that a letter of the legend takes."""
NAMES = {"vision": "vision", "connector": "conn.", "llm": "LLM", "answer": "answer"}


@dataclass(frozen=True)
class Panel:
    """One dataset: the rows of `overlay.sql` and, of the same models, of `leaderboard.sql`."""

    dataset_id: str
    score: str
    curves: Sequence[Row]
    board: Sequence[Row]


def overlay(panels: Sequence[Panel], models: Sequence[str]) -> Drawing | None:
    """What the readout that val chose shows at every layer, and the answers with their intervals.

    Layers stand at their place within their stage, so that models of any depth compare. None for
    one model on one dataset, or where none was probed. There are at most MOST models.
    """
    panels = [panel for panel in panels if panel.curves]
    if not panels or len(panels) == len(models) == 1:
        return None
    where = ", ".join(panel.dataset_id for panel in panels)
    legend = -(-len(models) // _columns(models, NARROW)), -(-len(models) // _columns(models, WIDE))
    narrow, wide = (FOOT + LINE * (lines + 1) for lines in legend)
    return Drawing(
        "overlay",
        lambda figure, is_narrow: _draw(panels, models, figure, is_narrow),
        f"Signal curves of {len(models)} models on {where}",
        f"Test score by layer of the readout that val chose. {_said(panels)}. "
        f"Models in the order of the legend: {', '.join(models)}.",
        wide=PANEL * -(-len(panels) // ACROSS) + wide,
        narrow=PANEL * len(panels) + narrow,
    )


def _said(panels: Sequence[Panel]) -> str:
    return "; ".join(
        f"{panel.dataset_id}, answers ({measured(panel.score)}): "
        + ", ".join(f"{row['model_id']} {percent(row['answer_accuracy'], 1)}" for row in answered)
        for panel in panels
        if (answered := [row for row in panel.board if row["answer_accuracy"] is not None])
    )


def _columns(models: Sequence[str], width: int) -> int:
    """Of the legend, so that as many names as can stand in full."""
    longest = max(map(len, models)) * LETTER + 44
    return int(max(1, min(width // longest, len(models), 4)))


def _draw(panels: Sequence[Panel], models: Sequence[str], figure: Figure, is_narrow: bool) -> None:
    width, height = pixels(figure)
    across = 1 if is_narrow else min(ACROSS, len(panels))
    low = _lowest(panels)
    for number, panel in enumerate(panels):
        row, column = divmod(number, across)
        axes = axes_in_pixels(
            figure,
            left=46 + column * width / across,
            right=width - (column + 1) * width / across + 10,
            top=26 + row * PANEL,
            bottom=height - (row + 1) * PANEL + 42,
        )
        _frame(axes, panel, low)
        for place, model_id in enumerate(models):
            _model(axes, panel, model_id, place, len(models))
    _legend(figure, models, PANEL * -(-len(panels) // across))


def _lowest(panels: Sequence[Panel]) -> float:
    """Where the scale of all panels begins, in percent."""
    values = [row[name] for panel in panels for row in panel.curves for name in _SHOWN]
    values += [row["answer_lower"] for panel in panels for row in panel.board]
    return max(0, 10 * floor(10 * min(value for value in values if value is not None)) - 4)


_SHOWN = ("test_accuracy", "chance")


def _frame(axes: Axes, panel: Panel, low: float) -> None:
    axes.set_xlim(0, len(STAGES))
    axes.set_ylim(low, 102)
    axes.set_title(shortened(panel.dataset_id, 32), loc="left", fontsize=12, color=colour("ink"))
    axes.set_ylabel(f"test {measured(panel.score)} (%)")
    axes.set_xlabel("layers of each stage, first to last")
    axes.set_xticks([at + 0.5 for at in range(len(STAGES))], [NAMES[stage] for stage in STAGES])
    lines_across(axes)
    for at in range(0, len(STAGES), 2):
        axes.axvspan(at, at + 1, color=colour("band"), zorder=0)
    if (chance := panel.curves[0]["chance"]) is not None:
        axes.axhline(100 * chance, color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))


def _look(place: int) -> dict[str, Any]:
    """Hue, marker and dash of the model at this place of the legend."""
    turn, hue = divmod(place, len(HUES))
    return {
        "color": colour(HUES[hue]),
        "marker": MARKERS[(hue + 3 * turn) % len(MARKERS)],
        "linestyle": DASHES[turn % len(DASHES)],
    }


def _model(axes: Axes, panel: Panel, model_id: str, place: int, n_models: int) -> None:
    rows = [row for row in panel.curves if row["model_id"] == model_id]
    look = _look(place)
    x = [_place(row, rows) for row in rows]
    y = [100 * row["test_accuracy"] for row in rows]
    if rows:
        size = 4 if len(rows) <= 40 else 2.5
        (line,) = axes.plot(x, y, linewidth=1.4, markersize=size, zorder=3, **look)
        mark(line, f"{panel.dataset_id}:{model_id}")
    answer = next((row for row in panel.board if row["model_id"] == model_id), None)
    if answer is None or answer["answer_accuracy"] is None:
        return
    at = STAGES.index(ANSWER) + 0.15 + 0.7 * (place + 0.5) / n_models
    share, hue = 100 * answer["answer_accuracy"], look["color"]
    if rows:
        axes.plot([x[-1], at], [y[-1], share], color=hue, linewidth=0.6, zorder=2)
    if answer["answer_lower"] is not None:
        bounds = [100 * answer["answer_lower"], 100 * answer["answer_upper"]]
        axes.plot([at, at], bounds, color=hue, linewidth=1, zorder=3)
    (point,) = axes.plot([at], [share], markersize=5.5, zorder=4, **look)
    mark(point, f"{panel.dataset_id}:{model_id}:answer")


def _place(row: Row, rows: Sequence[Row]) -> float:
    """Of a layer among those of its stage that were probed, each stage as wide as the others."""
    own = [other["depth"] for other in rows if other["module"] == row["module"]]
    return MODULES.index(row["module"]) + (own.index(row["depth"]) + 0.5) / len(own)


def _legend(figure: Figure, models: Sequence[str], top: float) -> None:
    """Marks and names of the models, in columns, and the dots of chance."""
    width, height = pixels(figure)
    columns = _columns(models, int(width))
    lines = -(-len(models) // columns)
    axes = axes_in_pixels(figure, left=0, right=0, top=top, bottom=FOOT)
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height - top - FOOT, 0)
    names = _names(models, width / columns - 44)
    for place, name in enumerate(names):
        column, line = divmod(place, lines)
        x, y = 12 + column * width / columns, LINE * (line + 0.5)
        axes.plot(
            [x, x + 11, x + 22], [y] * 3, linewidth=1.4, markersize=4, markevery=[1], **_look(place)
        )
        axes.text(x + 28, y, name, fontsize=11, va="center")
    y = LINE * (lines + 0.5)
    axes.plot([12, 34], [y, y], color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))
    axes.text(40, y, "chance", fontsize=11, va="center", color=colour("muted"))


def _names(models: Sequence[str], room: float) -> list[str]:
    """As short as they must be; where two would read alike all are numbered."""
    names = [fitted(name, room, 11) for name in models]
    if len(set(names)) == len(names):
        return names
    return [f"{at} {fitted(name, room - 24, 11)}" for at, name in enumerate(models, start=1)]
