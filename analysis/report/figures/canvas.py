"""What the figures share: axes in pixels, readable numbers, labels that keep apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from analysis.report.palette import colour
from analysis.report.svg import MARK, missing_glyphs
from analysis.report.words import STAGE_NAMES

LOSS_NAMES = STAGE_NAMES | {"answer": "answer mapping"}
"""The stages where something is lost; the answer itself is no place."""


def hiding() -> dict[str, Any]:
    """A patch behind words, so that no grid line crosses them."""
    return {"facecolor": colour("surface"), "pad": 1}


def pixels(figure: Figure) -> tuple[float, float]:
    """Width and height of a figure in pixels (one pixel is 1/72 inch here)."""
    width, height = figure.get_size_inches()
    return width * 72, height * 72


def axes_in_pixels(figure: Figure, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Axes with these margins in pixels."""
    width, height = pixels(figure)
    return figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    )


def share_axes(
    figure: Figure, n_rows: int, label: str, *, left: float, right: float, top: float
) -> Axes:
    """Axes of rows, the first above, over shares of 0 to 100%; margins in pixels."""
    axes = axes_in_pixels(figure, left=left, right=right, top=top, bottom=40)
    axes.set_xlim(0, 100)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(label)
    lines_down(axes)
    return axes


def mark(artist: Artist, name: str) -> None:
    """Name what stands for data, so that the finished drawing can be measured against its SQL.

    The name is percent-encoded, since it may hold what a user called a model.
    """
    artist.set_gid(f"{MARK}{quote(name, safe=':')}")


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}%"


def shortened(name: str, room: int) -> str:
    """A name that is too long keeps its beginning and its end, where the variant is."""
    if len(name) <= room:
        return name
    return f"{name[: room // 2]}…{name[-(room - room // 2 - 1) :]}"


def fitted(name: str, room: float, size: float, weight: str = "normal") -> str:
    """A name, shortened to so many pixels in letters of this size."""
    share = room / max(text_width(name, size, weight), 1)
    for length in range(min(len(name), int(1.3 * share * len(name)) + 2), 3, -1):
        found = shortened(name, length)
        if text_width(found, size, weight) <= room:
            return found
    return shortened(name, 3)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """In pixels, in matplotlib's own font, which is wider than most."""
    letters = FontProperties(size=size, weight=weight)
    with missing_glyphs():  # a tab, Chinese, an emoji: missed for their width alone
        width, _, _ = text_to_path.get_text_width_height_descent(text, letters, False)
    return float(width)


def label_right(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Name lines at the right edge: (y, text, role of its colour) each, none over another."""
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height * 72 / axes.figure.dpi
    gap = 14 * (high - low) / height
    places = spread([label[0] for label in labels], gap, low + gap / 2, high)
    for (_, text, role), place in zip(labels, places, strict=True):
        axes.annotate(
            text,
            (1, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            color=colour(role),
            fontweight="bold" if role == "ink" else "normal",
            annotation_clip=False,
        )


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Label positions as near to the wanted ones as a distance of `gap` allows, in [low, high].

    Labels that would overlap form a block around their mean; blocks that touch are merged.
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[tuple[float, list[int]]] = []
    for i in order:
        blocks.append((positions[i], [i]))
        while len(blocks) > 1:
            (_, first), (_, second) = blocks[-2:]
            if _bottom(blocks[-2], gap) + gap * len(first) <= _bottom(blocks[-1], gap):
                break
            members = first + second
            centre = sum(positions[k] for k in members) / len(members)
            half = gap * (len(members) - 1) / 2
            blocks[-2:] = [(min(max(centre, low + half), high - half), members)]
    placed = [0.0] * len(positions)
    for block in blocks:
        for number, i in enumerate(block[1]):
            placed[i] = _bottom(block, gap) + gap * number
    return placed


def _bottom(block: tuple[float, list[int]], gap: float) -> float:
    return block[0] - gap * (len(block[1]) - 1) / 2


def lines_across(axes: Axes) -> None:
    """Lines at the numbers of the vertical axis, in the place of its own."""
    _grid(axes, "y")
    axes.spines["left"].set_visible(False)


def lines_down(axes: Axes) -> None:
    """Lines at the numbers of the horizontal axis; rows, which name themselves, in the place of a
    vertical one."""
    _grid(axes, "x")
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines["left"].set_visible(False)


def _grid(axes: Axes, which: Literal["x", "y"]) -> None:
    axes.grid(axis=which, color=colour("line"), linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis=which, length=0)
