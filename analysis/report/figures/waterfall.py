"""From what the task allows down to what the model answers, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import (
    LOSS_NAMES,
    hiding,
    mark,
    percent,
    share_axes,
)
from analysis.report.palette import colour
from analysis.report.reading import ModelPage
from analysis.report.svg import Drawing
from analysis.report.words import axis_of, loss, loss_bounds
from warehouse.vocabulary import ACCURACY, MODULES


@dataclass(frozen=True)
class Bar:
    """One row: a floating bar in percent of the test images, and what is written beside it."""

    name: str
    start: float
    end: float
    value: str
    role: str
    whisker: tuple[float, float] | None = None
    is_bold: bool = False


def waterfall(page: ModelPage) -> Drawing | None:
    """The stage losses with their bootstrap intervals; None while nothing can be compared."""
    bars = _bars(page)
    if not bars:
        return None
    said = "; ".join(f"{bar.name}: {bar.value}" for bar in bars)
    return Drawing(
        f"{page.key}-losses",
        lambda figure, is_narrow: _draw(bars, figure, is_narrow, axis_of(page.finding.score)),
        f"Loss waterfall of {page.model_id} on {page.dataset_id}",
        f"{said}. Losses in percentage points with 95% bootstrap intervals.",
        wide=36 * len(bars) + 46,
        narrow=46 * len(bars) + 46,
    )


def _bars(page: ModelPage) -> list[Bar]:
    known = [row for row in page.losses.rows if row["loss"] is not None]
    if not known:
        return []
    reference = known[0]["accuracy_before"]
    source = "its probes"
    if known[0]["reference_source"] == "baseline" and page.baselines.first:
        source = page.baselines.first["architecture"]
    bars = [
        Bar(f"reference: {source}", 0, 100 * reference, percent(reference, 1), "kept", None, True)
    ]
    for row in known:
        before, after = 100 * row["accuracy_before"], 100 * row["accuracy_after"]
        value, whisker = loss(row["loss"]), None
        if row["loss_lower"] is not None:
            value += f" ({loss_bounds(row['loss_lower'], row['loss_upper'])})"
            whisker = before - 100 * row["loss_upper"], before - 100 * row["loss_lower"]
        stage, is_bold = row["stage"], row["is_present"]
        bars.append(Bar(LOSS_NAMES[stage], after, before, value, stage, whisker, is_bold))
    if known[-1]["stage"] not in MODULES:
        answer = known[-1]["accuracy_after"]
        bars.append(Bar("answer", 0, 100 * answer, percent(answer, 1), "kept", None, True))
        reliance = page.reliance.first
        text_alone = None if reliance is None else reliance["blank_accuracy"]
        if text_alone is not None and page.finding.score == ACCURACY:  # by which alone it is known
            said = percent(text_alone, 1)
            bars.append(Bar("without the image", 0, 100 * text_alone, said, "available"))
    return bars


def _draw(bars: list[Bar], figure: Figure, is_narrow: bool, label: str) -> None:
    left, right = (12, 14) if is_narrow else (176, 148)
    axes = share_axes(figure, len(bars), label, left=left, right=right, top=6)
    shift = 0.16 if is_narrow else 0.0
    for row, bar in enumerate(bars):
        _draw_bar(axes, bar, row + shift, is_narrow)
        if row + 1 < len(bars):
            level = bar.end if row == 0 else bar.start
            axes.plot(
                [level, level],
                [row + shift, row + 1 + shift],
                color=colour("muted"),
                linewidth=0.8,
                zorder=2,
            )


def _draw_bar(axes: Axes, bar: Bar, row: float, is_narrow: bool) -> None:
    height = 0.4 if is_narrow else 0.58
    drawn = axes.barh(
        row,
        max(bar.end - bar.start, 0.35),
        left=bar.start,
        height=height,
        color=colour(bar.role),
        alpha=1 if bar.is_bold else 0.6,
        zorder=3,
    )
    mark(drawn[0], bar.name)
    if bar.whisker:
        low, high = (max(0.0, edge) for edge in bar.whisker)
        axes.plot([low, high], [row, row], color=colour("ink"), linewidth=1.3, zorder=4)
        for edge in (low, high):
            axes.plot([edge, edge], [row - 0.12, row + 0.12], color=colour("ink"), lw=1.3, zorder=4)
    weight = "bold" if bar.is_bold else "normal"
    if is_narrow:
        above: dict[str, Any] = {"textcoords": "offset points", "va": "bottom", "fontsize": 11.5}
        above["bbox"] = hiding()
        axes.annotate(bar.name, (0, row - 0.24), xytext=(0, 2), fontweight=weight, **above)
        axes.annotate(bar.value, (0, row - 0.24), xytext=(176, 2), fontweight=weight, **above)
        return
    beside: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "center",
        "annotation_clip": False,
    }
    axes.annotate(bar.name, (0, row), xytext=(-12, 0), ha="right", fontweight=weight, **beside)
    axes.annotate(bar.value, (100, row), xytext=(12, 0), ha="left", fontweight=weight, **beside)
