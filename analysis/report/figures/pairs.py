"""Two models side by side: how far they lie apart after each stage, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import (
    axes_in_pixels,
    fitted,
    lines_down,
    mark,
)
from analysis.report.palette import colour
from analysis.report.reading import DatasetPage, Row
from analysis.report.svg import NARROW, WIDE, Drawing
from analysis.report.words import STAGE_NAMES, points
from warehouse.vocabulary import MODULES

HEAD, ROW = 44, 22


@dataclass(frozen=True)
class PairOfModels:
    """The accuracies of one pair, in pipeline order."""

    model_id: str
    base_model_id: str
    rows: list[Row]


def pairs(page: DatasetPage) -> Drawing | None:
    """Differences of the accuracy after each stage; None without a pair."""
    found = grouped(page)
    if not found:
        return None
    lines = sum(len(pair.rows) for pair in found)
    height = HEAD * len(found) + ROW * lines + 46
    said = "; ".join(
        f"{pair.model_id} minus {pair.base_model_id}: "
        + ", ".join(f"{row['stage']} {signed(row['difference'])}" for row in pair.rows)
        for pair in found
    )
    return Drawing(
        f"{page.key}-pairs",
        lambda figure, is_narrow: _draw(found, figure, is_narrow),
        f"Differences between models on {page.dataset_id}",
        f"{said}. Percentage points with paired 95% intervals.",
        wide=height,
        narrow=height,
    )


def grouped(page: DatasetPage) -> list[PairOfModels]:
    """The differences of accuracies by pair, in the order of the query."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in page.pairs.rows:
        if row["quantity"] == "accuracy" and row["difference"] is not None:
            rows.setdefault((row["model_id"], row["base_model_id"]), []).append(row)
    return [PairOfModels(*names, found) for names, found in rows.items()]


def signed(share: float) -> str:
    """A difference in percentage points: '−43.9', '+2.0', '0.0'."""
    text = points(abs(share))
    return text if text == "0.0" else f"{'−' if share < 0 else '+'}{text}"


def _draw(found: list[PairOfModels], figure: Figure, is_narrow: bool) -> None:
    left, right = (108, 12) if is_narrow else (130, 150)
    axes = axes_in_pixels(figure, left=left, right=right, top=6, bottom=40)
    lines = sum(len(pair.rows) for pair in found)
    axes.set_ylim(HEAD * len(found) + ROW * lines, 0)
    edge = max(_reach(row) for pair in found for row in pair.rows)
    axes.set_xlim(-edge, edge)
    axes.set_xlabel("difference (percentage points)")
    lines_down(axes)
    axes.axvline(0, color=colour("muted"), linewidth=1)
    y = 0.0
    for pair in found:
        _head(axes, pair, y + HEAD - (18 if is_narrow else 14), left, is_narrow)
        y += HEAD
        for row in pair.rows:
            _difference(axes, row, y + ROW / 2, is_narrow)
            y += ROW


def _reach(row: Row) -> float:
    """How far from 0 a row is drawn, in points, with some room."""
    edges = (row["difference"], row["difference_lower"], row["difference_upper"])
    return 1.15 * max(5.0, *(100 * abs(edge) for edge in edges if edge is not None))


def _head(axes: Axes, pair: PairOfModels, y: float, left: int, is_narrow: bool) -> None:
    """Both names, whose ends tell pairs apart; below each other where it is narrow."""
    if is_narrow:
        names = (pair.model_id, f"minus {pair.base_model_id}")
        text = "\n".join(fitted(name, NARROW - 20, 12, "bold") for name in names)
    else:
        text = fitted(f"{pair.model_id} minus {pair.base_model_id}", WIDE - 20, 12, "bold")
    axes.annotate(
        text,
        (0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8 - left, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold",
        annotation_clip=False,
        bbox={"facecolor": colour("surface"), "pad": 1},  # no line crosses the names
    )


def _difference(axes: Axes, row: Row, y: float, is_narrow: bool) -> None:
    hue = colour(row["stage"])
    sure = bool(row["is_different"])
    x = 100 * row["difference"]
    lower, upper = row["difference_lower"], row["difference_upper"]
    if lower is not None:
        axes.plot([100 * lower, 100 * upper], [y, y], color=hue, linewidth=2.2)
    (point,) = axes.plot(
        [x],
        [y],
        color=hue,
        marker="o",
        markersize=7,
        markerfacecolor=hue if sure else colour("surface"),
        linestyle="none",
    )
    mark(point, f"difference:{row['model_id']}:{row['base_model_id']}:{row['stage']}")
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 11,
        "annotation_clip": False,
    }
    name = row["stage"] if is_narrow else STAGE_NAMES[row["stage"]]
    if row["stage"] in MODULES:
        name = f"after {name}"
    axes.annotate(name, (0, y), xytext=(-8, 0), ha="right", color=colour("muted"), **place)
    if not is_narrow:
        value = signed(row["difference"])
        if lower is not None:
            value += f" ({signed(lower)} to {signed(upper)})"
        axes.annotate(value, (1, y), xytext=(8, 0), fontweight="bold" if sure else None, **place)
