"""Matrices of counts: a cell's shade is its share of the row, its number the count."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, radians, sin
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.report.figures.canvas import (
    axes_in_pixels,
    mark,
    pixels,
    shortened,
    text_width,
)
from analysis.report.palette import colour
from analysis.report.svg import Draw

NUMBERS_UP_TO = 14
"""Larger matrices show shades alone."""
MARKED_UP_TO = 40
"""Cells of larger matrices are drawn as one, and no smaller than can be seen."""
LONGEST_LABEL = 11
MOST_NAMES = 16
SLANT = 38
"""Degrees by which columns' names are turned, where they are longer than two letters."""
LEAST_FOOT = 74
COLUMN_ROOM, ROW_ROOM = 14, 10
"""The least pixels from one written name to the next; columns' are slanted."""


@dataclass(frozen=True)
class Matrix:
    """Counts per (row, column) name, with what its sides stand for."""

    name: str
    title: str
    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: dict[tuple[int, int], int]
    right: frozenset[tuple[int, int]]
    """The cells where both sides agree."""


def draw_matrices(matrices: list[Matrix], figure: Figure, *, beside: bool) -> None:
    """Side by side, or one below the other."""
    width, height = pixels(figure)
    n = len(matrices)
    step_x, step_y = (width / n, 0.0) if beside else (0.0, height / n)
    box_w, box_h = (width / n, height) if beside else (width, height / n)
    right, top = 8, 26
    bottom = max(_foot(matrix) for matrix in matrices)
    left = max(_label_room(matrix, box_h - top - bottom) for matrix in matrices) + 34
    for number, matrix in enumerate(matrices):
        axes = axes_in_pixels(
            figure,
            left=left + number * step_x,
            right=width - (number * step_x + box_w) + right,
            top=top + number * step_y,
            bottom=height - (number * step_y + box_h) + bottom,
        )
        _draw(axes, matrix)


def alone(matrices: list[Matrix]) -> dict[str, Draw]:
    """What draws each of them on a figure of its own, by name."""

    def draws(matrix: Matrix) -> Draw:
        return lambda figure, is_narrow: draw_matrices([matrix], figure, beside=not is_narrow)

    return {matrix.name: draws(matrix) for matrix in matrices}


def _draw(axes: Axes, matrix: Matrix) -> None:
    n_rows, n_columns = len(matrix.rows), len(matrix.columns)
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    totals = [sum(n for (row, _), n in matrix.counts.items() if row == i) for i in range(n_rows)]
    shares = {cell: n / totals[cell[0]] for cell, n in sorted(matrix.counts.items())}
    if max(n_rows, n_columns) > MARKED_UP_TO:
        _cells(axes, matrix, shares)
    else:
        for (row, column), share in shares.items():
            _cell(axes, matrix, row, column, share)
    # A title that is wider than the matrix goes over the names of its rows.
    is_wide = text_width(matrix.title, 12) > axes.get_window_extent().width * 72 / axes.figure.dpi
    loc: Literal["left", "right"] = "right" if is_wide else "left"
    axes.set_title(matrix.title, fontsize=12, color=colour("ink"), loc=loc, pad=7)
    axes.set_xlabel(matrix.column_title)
    axes.set_ylabel(matrix.row_title)
    _ticks(axes, matrix)
    axes.tick_params(length=0, pad=3)


def _cells(axes: Axes, matrix: Matrix, shares: dict[tuple[int, int], float]) -> None:
    seen = 1.2 * max(len(matrix.rows), len(matrix.columns)) / 230  # of the fewest pixels it has
    half = max(0.48, seen / 2)
    corners = ((-half, -half), (-half, half), (half, half), (half, -half))
    places = [[(column + x, row + y) for x, y in corners] for row, column in shares]
    shades = [
        to_rgba(colour("good" if cell in matrix.right else "answer"), 0.12 + 0.7 * share)
        for cell, share in shares.items()
    ]
    axes.add_collection(PolyCollection(places, facecolors=shades, linewidths=0))


def _cell(axes: Axes, matrix: Matrix, row: int, column: int, share: float) -> None:
    role = "good" if (row, column) in matrix.right else "answer"
    cell = Rectangle(
        (column - 0.48, row - 0.48),
        0.96,
        0.96,
        facecolor=colour(role),
        alpha=0.12 + 0.7 * share,
    )
    n = matrix.counts[row, column]
    mark(cell, f"{matrix.name}:{row}:{column}:{n}")
    axes.add_artist(cell)  # the limits stand, so none are looked for
    if max(len(matrix.rows), len(matrix.columns)) <= NUMBERS_UP_TO:
        axes.text(
            column,
            row,
            str(n),
            ha="center",
            va="center_baseline",
            fontsize=9.5,
            color=colour("surface" if share > 0.6 else "ink"),
        )


def _ticks(axes: Axes, matrix: Matrix) -> None:
    _, _, width, height = axes.get_window_extent().bounds
    scale = 72 / axes.figure.dpi
    columns = _shown(matrix.columns, width * scale, COLUMN_ROOM)
    rows = _shown(matrix.rows, height * scale, ROW_ROOM)
    long = _is_slanted(matrix)
    axes.set_xticks(
        list(columns),
        list(columns.values()),
        rotation=SLANT if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor",
        fontsize=10,
    )
    axes.set_yticks(list(rows), list(rows.values()), fontsize=10)


def _shown(names: tuple[str, ...], room: float, each: float) -> dict[int, str]:
    """The names that are written, as many as there is room for, by their places."""
    step = max(1, len(names) // MOST_NAMES, ceil(each * len(names) / max(room, each)))
    return {at: shortened(names[at], LONGEST_LABEL) for at in range(0, len(names), step)}


def _is_slanted(matrix: Matrix) -> bool:
    return max(map(len, matrix.columns)) > 2


def _foot(matrix: Matrix) -> float:
    """Pixels that the columns' names and their title take below."""
    if not _is_slanted(matrix):
        return LEAST_FOOT
    longest = max(text_width(shortened(name, LONGEST_LABEL), 10) for name in matrix.columns)
    return max(LEAST_FOOT, 40 + longest * sin(radians(SLANT)))


def _label_room(matrix: Matrix, height: float) -> float:
    return max(text_width(name, 10) for name in _shown(matrix.rows, height, ROW_ROOM).values())
