"""The paper's profile: FHS_vision → FHS_connector → FHS_llm → P_answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from analysis.report.figures.canvas import axes_in_pixels, lines_across, mark
from analysis.report.figures.naming import name_clear
from analysis.report.palette import colour
from analysis.report.reading import ModelPage
from analysis.report.svg import Drawing
from warehouse.vocabulary import ANSWER, BEFORE_LLM, CONNECTOR, LLM, STAGES, VISION

NAMES = {
    VISION: "FHS\nvision",
    CONNECTOR: "FHS\nconnector",
    LLM: "FHS\nlanguage model",
    ANSWER: "P\nanswer",
}
NARROW_NAMES = NAMES | {LLM: "FHS\nLLM"}
TRACKS = {"mean": ("image tokens", "o", -0.09), "last": ("last token", "^", 0.09)}
"""Name, mark and offset in a shared column of each track."""


@dataclass(frozen=True)
class Point:
    """One score of the profile, with its interval if there is one."""

    column: str
    track: str
    score: float
    lower: float | None
    upper: float | None


def health_profile(page: ModelPage) -> Drawing | None:
    """Feature health scores with bootstrap intervals; None while no module has one."""
    points = _points(page)
    if not any(point.column != ANSWER for point in points):
        return None
    said = "; ".join(
        f"{point.column} ({TRACKS[point.track][0]}) {point.score:.2f}"
        if point.column != ANSWER
        else f"answer accuracy {point.score:.2f}"
        for point in points
    )
    return Drawing(
        f"{page.key}-health",
        lambda figure, is_narrow: _draw(points, figure, is_narrow),
        f"Health profile of {page.model_id} on {page.dataset_id}",
        f"Feature health scores along the pipeline: {said}.",
        wide=290,
        narrow=300,
    )


def _points(page: ModelPage) -> list[Point]:
    points = [
        Point(
            row["module"],
            row["track"],
            row["health_score"],
            row["health_lower"],
            row["health_upper"],
        )
        for row in page.health.rows
        if row["health_score"] is not None
    ]
    answer = page.signal(ANSWER)
    if answer:
        spoken = next(row for row in page.answers.rows if row["method"] == answer["readout"])
        bounds = spoken["score_lower"], spoken["score_upper"]
        points.append(Point(ANSWER, "mean", spoken["score_value"], *bounds))
    return points


def _draw(points: list[Point], figure: Figure, is_narrow: bool) -> None:
    axes = axes_in_pixels(figure, left=46, right=14 if is_narrow else 60, top=24, bottom=46)
    names = NARROW_NAMES if is_narrow else NAMES
    axes.set_xlim(-0.5, 3.5)
    axes.set_xticks(range(len(STAGES)), [names[stage] for stage in STAGES])
    axes.set_ylim(0, max(1.0, 1.2 * max(point.upper or point.score for point in points)))
    axes.set_ylabel("score (no unit)")
    lines_across(axes)
    axes.tick_params(axis="x", length=0)
    _draw_lines(axes, points)
    _legend(axes, points)
    for point in points:
        _draw_point(axes, point)
    taken: list[Bbox] = []
    for point in points:
        edges = [edge for edge in (point.score, point.upper, point.lower) if edge is not None]
        near = [(_place(point), edge) for edge in edges]
        name_clear(axes, f"{point.score:.2f}", near, _role(point), taken)


def _place(point: Point) -> float:
    offset = TRACKS[point.track][2] if point.column == LLM else 0.0
    return STAGES.index(point.column) + offset


def _draw_lines(axes: Axes, points: list[Point]) -> None:
    """One line per track, both from the connector's end to the answer."""
    ends = [point for point in points if point.column == ANSWER]
    shared = [point for point in points if point.column in BEFORE_LLM]
    for track in TRACKS:
        own = [point for point in points if point.column == LLM and point.track == track]
        line = [*(point for point in shared if point.track == "mean"), *own, *ends]
        if own or track == "mean":
            axes.plot(
                [_place(point) for point in line],
                [point.score for point in line],
                color=colour(track),
                linewidth=1.2,
                alpha=0.7,
                zorder=2,
            )


def _role(point: Point) -> str:
    return "ink" if point.column == ANSWER else point.track


def _draw_point(axes: Axes, point: Point) -> None:
    """One score with its interval."""
    hue = colour(_role(point))
    x = _place(point)
    if point.lower is not None and point.upper is not None:
        axes.plot([x, x], [point.lower, point.upper], color=hue, linewidth=1.6, zorder=3)
    marker = "D" if point.column == ANSWER else TRACKS[point.track][1]
    (score,) = axes.plot([x], [point.score], color=hue, marker=marker, markersize=7, zorder=4)
    mark(score, f"{point.column}:{point.track}")


def _legend(axes: Axes, points: list[Point]) -> None:
    """The language model's two tracks by mark and hue, above the plot."""
    tracks = [track for track in TRACKS if any(point.track == track for point in points)]
    for number, track in enumerate(tracks):
        name, marker, _ = TRACKS[track]
        x = 0.02 + 0.32 * number
        place: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
        axes.plot([x], [1.06], color=colour(track), marker=marker, markersize=6, **place)
        axes.text(x + 0.03, 1.06, name, color=colour(track), fontsize=11, va="center", **place)
