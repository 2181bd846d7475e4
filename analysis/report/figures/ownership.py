"""Which classes are read, answered and owned, and at which loci the answer follows a class."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.report.figures.canvas import axes_in_pixels, mark, shortened
from analysis.report.figures.loci import HEAD, name_loci
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing

ASKED = ("read", "answered", "owned")
ROW, FOOT = 22, 42
NUMBERS_UP_TO = 12
"""Of more loci, on a narrow page of half as many, cells show shades alone."""


def ownership(page: ModelPage) -> Drawing | None:
    """A mark by class for each question, and by class and locus how far writing the class there
    raises it in the answer; None where nothing was steered.
    """
    rows = page.steering.rows
    if not rows:
        return None
    asked = [r for r in page.ownership.rows if r["direction"] == rows[0]["direction"]]
    owned = [row["label"] for row in asked if row["is_owned"]]
    height = HEAD + FOOT + ROW * len(asked)
    return Drawing(
        f"{page.key}-ownership",
        lambda figure, is_narrow: _draw(rows, asked, figure, is_narrow),
        f"Classes owned by {page.model_id} on {page.dataset_id}",
        f"Of {len(asked)} classes {len(owned)} are owned: {', '.join(owned) or 'none'}.",
        wide=height,
        narrow=height,
    )


def _draw(rows: list[Row], asked: list[Row], figure: Figure, is_narrow: bool) -> None:
    left = 84 if is_narrow else 150
    axes = axes_in_pixels(figure, left=left, right=8, top=HEAD, bottom=FOOT)
    depths = sorted({row["depth"] for row in rows})
    first = len(ASKED) + 0.4  # a gap between what is asked and where it is written
    axes.set_xlim(-0.5, first + len(depths) - 0.5)
    axes.set_ylim(len(asked) - 0.5, -0.5)
    loci = name_loci(axes, {first + depths.index(r["depth"]): r for r in rows}, is_narrow)
    words = ("read", "answ.", "owned") if is_narrow else ASKED
    axes.set_xticks(
        [*range(len(ASKED)), *(x for x, _ in loci)],
        [*words, *(layer for _, layer in loci)],
    )
    axes.set_yticks(
        range(len(asked)), [shortened(row["label"], 11 if is_narrow else 20) for row in asked]
    )
    axes.set_xlabel("written at", x=(first + len(depths) / 2) / (first + len(depths)))
    axes.tick_params(length=0, pad=4, labelsize=10.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    place = {row["class_index"]: number for number, row in enumerate(asked)}
    for row in asked:
        _answers(axes, row, place[row["class_index"]])
    most = max(max(abs(row["effect"]) for row in rows), 1e-9)
    has_numbers = len(depths) <= NUMBERS_UP_TO // (2 if is_narrow else 1)
    for row in rows:
        at = first + depths.index(row["depth"]), place[row["class_index"]]
        _cell(axes, row, at, abs(row["effect"]) / most, has_numbers)


def _answers(axes: Axes, row: Row, y: int) -> None:
    """Full where it is so, hollow where not, nothing where it was not measured."""
    for x, word in enumerate(ASKED):
        is_so = row[f"is_{word}"]
        if is_so is None:
            axes.text(x, y, "–", ha="center", va="center_baseline", color=colour("muted"))
            continue
        hue = colour("good" if is_so else "muted")
        face = hue if is_so else colour("surface")
        (point,) = axes.plot(
            *([x], [y]), color=hue, marker="o", markersize=8, markerfacecolor=face, linestyle="none"
        )
        mark(point, f"{word}:{row['class_index']}:{'yes' if is_so else 'no'}")


def _cell(axes: Axes, row: Row, at: tuple[float, int], share: float, has_number: bool) -> None:
    """The stronger the further it rises; green beyond random directions and the sham."""
    (x, y), is_beyond = at, bool(row["is_beyond"])
    alpha = 0.15 + 0.65 * share if is_beyond else 0.08 + 0.3 * share
    hue = colour("good" if is_beyond else "muted")
    cell = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=hue, alpha=alpha, linewidth=0)
    mark(cell, f"written:{row['class_index']}:{row['depth']}:{'beyond' if is_beyond else 'within'}")
    axes.add_patch(cell)
    if has_number:
        text = f"{row['effect']:.1f}".replace("-", "−")
        ink = colour("surface" if is_beyond and share > 0.8 else "ink")
        axes.text(x, y, text, ha="center", va="center_baseline", fontsize=9.5, color=ink)
