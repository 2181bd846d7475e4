"""All models on a dataset: what each answers, and where the rest of the reference went."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import (
    LOSS_NAMES,
    axes_in_pixels,
    fitted,
    hiding,
    lines_down,
    mark,
    percent,
    pixels,
    text_width,
)
from analysis.report.palette import colour
from analysis.report.reading import DatasetPage, Row
from analysis.report.svg import Drawing
from analysis.report.words import VERDICTS, axis_of
from warehouse.vocabulary import STAGES

ROW = 46
OUTWARDS = STAGES[::-1]
"""From the answer on: the order in which the losses stand beside it."""


def overview(page: DatasetPage) -> Drawing | None:
    """One bar per model that is shown in full, from its answer accuracy up to the reference; None
    without answers."""
    models = [
        row
        for row in page.leaderboard.rows
        if row["answer_accuracy"] is not None and row["model_id"] in page.keys
    ]
    if not models:
        return None
    height = ROW * len(models) + 78
    return Drawing(
        f"{page.key}-overview",
        lambda figure, is_narrow: _draw(models, figure, is_narrow, axis_of(page.facts["score"])),
        f"What the models answer on {page.dataset_id} and where the rest is lost",
        "; ".join(_said(model) for model in models) + ".",
        wide=height,
        narrow=height + 36,
    )


def _losses(row: Row) -> dict[str, float]:
    """The loss at each stage, as `stage_loss` has it; what cannot be compared is left out."""
    path = ("reference", *STAGES)
    return {
        after: row[f"{before}_accuracy"] - row[f"{after}_accuracy"]
        for before, after in pairwise(path)
        if row[f"{before}_accuracy"] is not None and row[f"{after}_accuracy"] is not None
    }


def _said(row: Row) -> str:
    lost = ", ".join(
        f"{100 * loss:.1f} points in {stage}" for stage, loss in _losses(row).items() if loss
    )
    return (
        f"{row['model_id']} answers {percent(row['answer_accuracy'])}"
        f"{f', lost {lost}' if lost else ''}: {VERDICTS[row['verdict']].title}"
    )


def _draw(models: list[Row], figure: Figure, is_narrow: bool, label: str) -> None:
    top = 62 if is_narrow else 26
    axes = axes_in_pixels(figure, left=12, right=14, top=top, bottom=40)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(label)
    lines_down(axes)
    _legend(figure)
    for row, model in enumerate(models):
        _draw_model(axes, model, row, pixels(figure)[0] - 26)


def _draw_model(axes: Axes, model: Row, row: int, room: float) -> None:
    """A bar with the model's name and verdict above it, which share `room` pixels."""
    parts = [("kept", 100 * model["answer_accuracy"])]
    losses = _losses(model)
    parts += [(stage, 100 * losses.get(stage, 0.0)) for stage in OUTWARDS]
    start = 0.0
    for role, width in parts:
        bar = axes.barh(row + 0.2, width, left=start, height=0.42, color=colour(role), zorder=3)
        mark(bar[0], f"{model['model_id']}:{role}")
        if width >= 5:
            axes.text(
                start + width / 2,
                row + 0.21,
                f"{width:.0f}",
                ha="center",
                va="center",
                fontsize=11,
                color=colour("surface"),
                fontweight="bold",
                zorder=4,
            )
        start += width
    text: dict[str, Any] = {"va": "bottom", "textcoords": "offset points", "fontsize": 12}
    text["bbox"] = hiding()
    verdict = VERDICTS[model["verdict"]]
    left = room - text_width(verdict.title, 12, "bold") - 6
    name = fitted(model["model_id"], left, 12)
    axes.annotate(name, (0, row - 0.08), xytext=(0, 2), **text)
    axes.annotate(
        verdict.title,
        (100, row - 0.08),
        xytext=(0, 2),
        ha="right",
        color=colour(verdict.role),
        fontweight="bold",
        **text,
    )


def _legend(figure: Figure) -> None:
    """The bars' parts in their order, as coloured words."""
    width, height = pixels(figure)
    words = [("kept", "answered right"), *((s, f"lost in {LOSS_NAMES[s]}") for s in OUTWARDS)]
    x, y = 12.0, height - 14
    for role, word in words:
        length = 6.1 * len(word) + 26
        if x + length > width:
            x, y = 12.0, y - 18
        figure.text(x / width, y / height, "■", color=colour(role), fontsize=12, va="center")
        figure.text(
            (x + 13) / width, y / height, word, color=colour("muted"), fontsize=11, va="center"
        )
        x += length
