"""Names beside data within the axes, where no line crosses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from analysis.report.figures.canvas import hiding, text_width
from analysis.report.palette import colour

SIZE = 11
AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a name may stand beside a point: so far right and up, in its distance."""
DISTANCES = (8, 16, 24)
"""In pixels, the nearest first."""
CLEARANCE = 2
"""Pixels around a name that stay free."""


class Spot(NamedTuple):
    """Where a name may stand: its box, the point it belongs to, and its middle from there."""

    box: Bbox
    point: tuple[float, float]
    middle: tuple[float, float]


def name_clear(
    axes: Axes, text: str, near: Sequence[tuple[float, float]], role: str, taken: list[Bbox]
) -> None:
    """Name data beside one of these points, in data coordinates: where no line runs.

    The horizontal grid counts as lines. A name stays inside of the axes, as near as it can, and
    clear of those `taken` before, to which it is added. Where no place is clear it takes that with
    the fewest lines and hides them. Call it when all lines are drawn.
    """
    lines = _lines(axes)

    def crossed(place: Spot) -> int:
        wider = place.box.padded(CLEARANCE)
        others = sum(other.overlaps(wider) for other in taken)
        return sum(line.intersects_bbox(wider, filled=False) for line in lines) + (
            len(lines) * others
        )

    counted = []
    for spot in _places(axes, text, near):
        counted.append((crossed(spot), spot))
        if counted[-1][0] == 0:
            break
    if not counted:
        return
    n_crossed, place = min(counted, key=lambda one: one[0])  # of several the first
    taken.append(place.box)
    axes.annotate(
        text,
        place.point,
        xytext=place.middle,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=SIZE,
        color=colour(role),
        bbox=hiding() if n_crossed else None,
        zorder=5,
    )


def _scale(axes: Axes) -> float:
    """From matplotlib's dots to pixels, 72 to an inch."""
    return 72 / axes.figure.dpi


def _lines(axes: Axes) -> list[Path]:
    """In pixels."""
    left, right = axes.get_xlim()
    drawn = [line.get_transform().transform(line.get_xydata()) for line in axes.get_lines()]
    drawn += [axes.transData.transform([(left, y), (right, y)]) for y in axes.get_yticks()]
    return [Path(points * _scale(axes)) for points in drawn]


def _places(axes: Axes, text: str, near: Sequence[tuple[float, float]]) -> Iterator[Spot]:
    """Inside of the axes, the best first: near, then above, below, right, left, at corners."""
    inside = Bbox(axes.get_window_extent().get_points() * _scale(axes))
    width = text_width(text, SIZE)
    for distance in DISTANCES:
        for point in near:
            x, y = axes.transData.transform(point) * _scale(axes)
            for across, up in AROUND:
                middle = across * (distance + width / 2), up * (distance + SIZE / 2)
                left, bottom = x + middle[0] - width / 2, y + middle[1] - SIZE / 2
                box = Bbox.from_bounds(left, bottom, width, SIZE)
                if inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1):
                    yield Spot(box, point, middle)
