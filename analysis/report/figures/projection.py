"""The samples of one place on a plane, coloured by what they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.projection import Projection, name_of
from analysis.report.figures.canvas import axes_in_pixels, fitted, mark, percent, pixels
from analysis.report.palette import colour
from analysis.report.svg import Drawing, point_out

HUES = (
    *(("mean", "o"), ("last", "^"), ("grid", "s"), ("cls", "D"), ("connector", "v")),
    *(("answer", "P"), ("cyan", "X"), ("indigo", "p"), ("brown", "<"), ("kept", ">")),
)
"""Roles of the palette and markers: each tells a value from the others by itself."""
OTHERS = ("available", ".")
NAMELESS = ("muted", "x")
LINE = 17
"""Pixels of a line of the legend."""


@dataclass(frozen=True)
class Group:
    """Samples of one value, or of all that are not named: their rows, and how they are drawn."""

    name: str
    rows: list[int]
    role: str
    marker: str


def projection(shown: Projection) -> Drawing:
    """PCA or t-SNE of a cell. Of more than ten values the nine that most samples have are named;
    the others share a grey dot."""
    groups = grouped(shown)
    height = max(440, 60 + LINE * len(groups))
    return Drawing(
        "projection",
        lambda figure, is_narrow: _draw(shown, groups, figure, is_narrow),
        f"{'PCA' if shown.layout.explained else 't-SNE'} of {shown.model_id} on "
        f"{shown.dataset_id} at {name_of(shown.cell)}",
        _description(shown, groups),
        wide=height,
        narrow=372 + LINE * _rows_below(len(groups)),
    )


def _rows_below(n_groups: int) -> int:
    """Lines of a legend in two columns, with its title."""
    return 1 + -(-n_groups // 2)


def grouped(shown: Projection) -> list[Group]:
    """The groups in the order of the legend."""
    rows: dict[str | None, list[int]] = {}
    for row, sample in enumerate(shown.samples["sample_id"]):
        rows.setdefault(shown.values.of.get(sample), []).append(row)
    present = [value for value in shown.values.order if value in rows]
    named = present
    if len(present) > len(HUES):
        counts = Counter({value: len(rows[value]) for value in present})
        largest = {value for value, _ in counts.most_common(len(HUES) - 1)}
        named = [value for value in present if value in largest]
    found = [
        Group(value, rows[value], role, marker)
        for value, (role, marker) in zip(named, HUES, strict=False)
    ]
    if others := [value for value in present if value not in set(named)]:
        all_rows = sorted(row for value in others for row in rows[value])
        found.append(Group(f"{len(others)} others", all_rows, *OTHERS))
    if None in rows:
        found.append(Group(shown.values.nameless, rows[None], *NAMELESS))
    return found


def _description(shown: Projection, groups: list[Group]) -> str:
    counted = "; ".join(f"{group.name}: {len(group.rows):,}" for group in groups)
    return f"{shown.worth} By {shown.values.name}: {counted}."


def _draw(shown: Projection, groups: list[Group], figure: Figure, is_narrow: bool) -> None:
    if is_narrow:
        below = 44 + LINE * _rows_below(len(groups))
        axes = axes_in_pixels(figure, left=26, right=8, top=8, bottom=below)
    else:
        axes = axes_in_pixels(figure, left=26, right=190, top=8, bottom=30)
    _frame(axes, shown)
    # The largest lie below: of few samples none is hidden.
    for number in sorted(range(len(groups)), key=lambda number: -len(groups[number].rows)):
        _points(axes, shown, groups[number], f"group:{number}")
    _legend(figure, shown, groups, is_narrow)


def _frame(axes: Axes, shown: Projection) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    for side in ("left", "bottom", "top", "right"):
        axes.spines[side].set_visible(True)
    explained = shown.layout.explained
    if explained is None:
        axes.set_xlabel("t-SNE 1")
        axes.set_ylabel("t-SNE 2")
        return
    axes.set_xlabel(f"component 1 ({percent(explained[0], 1)} of the variance)")
    axes.set_ylabel(f"component 2 ({percent(explained[1], 1)})")


def _points(axes: Axes, shown: Projection, group: Group, name: str) -> None:
    """The samples of a group, which the finished drawing knows by `name`."""
    n = len(shown.layout.rows)
    size = 6.0 if n <= 400 else 4.2 if n <= 2000 else 3.0
    places = shown.layout.places[group.rows]
    (marks,) = axes.plot(
        places[:, 0],
        places[:, 1],
        **_looks(group, size),
        alpha=0.75,
    )
    samples = shown.samples[group.rows]
    said = [
        f"{sample}: {label if label is not None else 'no label'}, {split}"
        + ("" if shown.values.name == "class" else f"; {shown.values.name}: {group.name}")
        for sample, label, split in samples.iter_rows()
    ]
    mark(marks, name)
    point_out(marks, name, said, samples["sample_id"].to_list())


def _legend(figure: Figure, shown: Projection, groups: list[Group], is_narrow: bool) -> None:
    """Every group with its mark and how many it has: beside the plane, or in two columns below."""
    width, height = pixels(figure)
    rows = _rows_below(len(groups)) - 1 if is_narrow else len(groups)
    left, step = (26.0, (width - 34) / 2) if is_narrow else (width - 180, 180.0)
    top = 12 + LINE * rows if is_narrow else height - 16
    text: dict[str, Any] = {"va": "center", "fontsize": 11}
    title = fitted(shown.values.name, 2 * step - 8 if is_narrow else step, 11)
    figure.text(left / width, top / height, title, color=colour("muted"), **text)
    for number, group in enumerate(groups):
        column, row = divmod(number, rows)
        x, y = left + step * column, (top - LINE * (row + 1)) / height
        line = fitted(f"{group.name} ({len(group.rows):,})", step - 24, 11)
        figure.text((x + 16) / width, y, line, color=colour("ink"), **text)
        figure.axes[0].plot(
            *([(x + 5) / width], [y]),
            **_looks(group, 6.0),
            transform=figure.transFigure,
            clip_on=False,
        )


def _looks(group: Group, size: float) -> dict[str, Any]:
    """How a mark of the group is drawn; `x` is made of lines alone."""
    return {
        "linestyle": "none",
        "marker": group.marker,
        "markersize": size,
        "color": colour(group.role),
        "markeredgewidth": 1.2 if group.marker == NAMELESS[1] else 0,
    }
