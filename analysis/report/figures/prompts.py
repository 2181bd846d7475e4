"""How the way of asking moves the answer: accuracy under each prompt, and in each order."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import (
    hiding,
    mark,
    percent,
    share_axes,
    shortened,
)
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing
from analysis.report.words import axis_of, measured
from warehouse.vocabulary import GIVEN

ROOM = 22
"""Characters of a prompt's name beside its row."""


def prompts(page: ModelPage) -> Drawing | None:
    """Accuracy per prompt with its Wilson band, other orders as small marks; None without a sweep.

    Prompts that the model does not understand are hollow.
    """
    rows = page.prompts.rows
    if not rows:
        return None
    by_prompt = [list(group) for _, group in groupby(rows, key=lambda row: row["prompt_id"])]
    said = "; ".join(
        f"{own['prompt_id']}: {percent(own['accuracy'])}" for own in map(_own, by_prompt)
    )
    label = axis_of(page.finding.score, "answered")
    return Drawing(
        f"{page.key}-prompts",
        lambda figure, is_narrow: _draw(by_prompt, figure, is_narrow, label),
        f"Prompts of {page.model_id} on {page.dataset_id}",
        f"Test {measured(page.finding.score)} of the answer under each prompt. {said}.",
        wide=30 * len(by_prompt) + 52,
        narrow=44 * len(by_prompt) + 52,
    )


def _own(rows: list[Row]) -> Row:
    """The order that the prompt itself gives, else the first that was asked."""
    return next((row for row in rows if row["option_order"] == GIVEN), rows[0])


def _draw(by_prompt: list[list[Row]], figure: Figure, is_narrow: bool, label: str) -> None:
    left, right = (12, 14) if is_narrow else (176, 66)
    axes = share_axes(figure, len(by_prompt), label, left=left, right=right, top=8)
    chance = 100 * by_prompt[0][0]["chance"]
    axes.axvline(chance, color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))
    for place, rows in enumerate(by_prompt):
        _prompt(axes, rows, place + (0.18 if is_narrow else 0), is_narrow)


def _prompt(axes: Axes, rows: list[Row], place: float, is_narrow: bool) -> None:
    own = _own(rows)
    others = [100 * row["accuracy"] for row in rows if row is not own]
    if others:
        (dots,) = axes.plot(
            others, [place] * len(others), "|", color=colour("muted"), markersize=11, zorder=3
        )
        mark(dots, f"orders:{own['prompt_id']}")
    band = [100 * own["lower"], 100 * own["upper"]]
    axes.plot(band, [place, place], color=colour("answer"), linewidth=1.6, zorder=2)
    (dot,) = axes.plot(
        100 * own["accuracy"],
        place,
        "o",
        color=colour("answer"),
        markersize=7,
        markerfacecolor=colour("answer" if own["is_understood"] else "surface"),
        zorder=4,
    )
    mark(dot, own["prompt_id"])
    name, value = shortened(own["prompt_id"], ROOM), percent(own["accuracy"], 1)
    said: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    if is_narrow:
        said |= {"xytext": (0, 2), "va": "bottom", "fontsize": 11.5, "bbox": hiding()}
        axes.annotate(f"{name}  {value}", (0, place - 0.24), **said)
        return
    axes.annotate(name, (0, place), xytext=(-12, 0), ha="right", va="center", **said)
    axes.annotate(value, (100, place), xytext=(12, 0), ha="left", va="center", **said)
