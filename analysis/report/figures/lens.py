"""Where the language model decides: what it would answer after each of its layers."""

from __future__ import annotations

from math import floor

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import axes_in_pixels, label_right, lines_across, mark, percent
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing
from analysis.report.words import measured


def lens(page: ModelPage) -> Drawing | None:
    """Logit-lens accuracy by layer with its band, beside the last token's probe; None without."""
    rows = page.lens.rows
    if not rows:
        return None
    ends = "; ".join(
        f"layer {row['layer']}: {percent(row['accuracy'])}" for row in (rows[0], rows[-1])
    )
    name = measured(page.finding.score)
    return Drawing(
        f"{page.key}-lens",
        lambda figure, is_narrow: _draw(rows, figure, is_narrow, name),
        f"Logit lens of {page.model_id} on {page.dataset_id}",
        f"Test {name} of the label words read at the last prompt token after each layer. {ends}.",
        wide=280,
        narrow=280,
    )


def _draw(rows: list[Row], figure: Figure, is_narrow: bool, name: str) -> None:
    axes = axes_in_pixels(figure, left=46, right=96 if is_narrow else 158, top=10, bottom=42)
    depths = [row["depth"] for row in rows]
    known = [row["lower"] for row in rows] + [rows[0]["chance"]]
    low = max(0, 10 * floor(10 * min(known)) - 4)
    axes.set_xlim(depths[0] - 0.5, depths[-1] + 0.5)
    axes.set_ylim(low, 102)
    axes.set_ylabel(f"test {name} (%)")
    axes.set_xlabel("layer of the language model")
    step = max(1, len(rows) // 16)
    axes.set_xticks(depths[::step], [str(row["layer"]) for row in rows[::step]])
    lines_across(axes)
    labels = [_curve(axes, rows), *_probe(axes, rows, is_narrow)]
    axes.axhline(100 * rows[0]["chance"], color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))
    labels.append((100 * rows[0]["chance"], f"chance {percent(rows[0]['chance'])}", "muted"))
    label_right(axes, labels)


def _curve(axes: Axes, rows: list[Row]) -> tuple[float, str, str]:
    x = [row["depth"] for row in rows]
    axes.fill_between(
        x,
        [100 * row["lower"] for row in rows],
        [100 * row["upper"] for row in rows],
        color=colour("answer"),
        alpha=0.14,
        linewidth=0,
    )
    y = [100 * row["accuracy"] for row in rows]
    (line,) = axes.plot(x, y, color=colour("answer"), marker="D", markersize=4.5, linewidth=1.9)
    mark(line, "lens")
    return y[-1], "logit lens", "answer"


def _probe(axes: Axes, rows: list[Row], is_narrow: bool) -> list[tuple[float, str, str]]:
    known = [row for row in rows if row["probe_accuracy"] is not None]
    if not known:
        return []
    y = [100 * row["probe_accuracy"] for row in known]
    (line,) = axes.plot(
        [row["depth"] for row in known],
        y,
        color=colour("last"),
        marker="^",
        markersize=4.5,
        linewidth=1.4,
        linestyle="--",
    )
    mark(line, "probe")
    return [(y[-1], "probe" if is_narrow else "last token's probe", "last")]
