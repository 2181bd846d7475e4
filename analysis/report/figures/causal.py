"""Where along the pipeline the answer's class is carried, and by which tokens."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import label_right, mark, percent
from analysis.report.figures.loci import axes_over_loci
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing, point_out
from analysis.report.words import bounds
from warehouse.vocabulary import BOTH_PATCH, IMAGE_PATCH, LAST_PATCH, LLM

LOOKS = {
    IMAGE_PATCH: ("image tokens", "image", "mean", "o", "-"),
    LAST_PATCH: ("last prompt token", "last", "last", "^", "-"),
    BOTH_PATCH: ("both", "both", "grid", "s", ":"),
}
"""By patched tokens the name, its short form, the role of the colour, marker and dash."""

Label = tuple[float, str, str]


def causal(page: ModelPage) -> Drawing | None:
    """Share of the answers that turn to a donor's class by locus and patched tokens, with Wilson
    bands, and what controls turn; None without patches between images.
    """
    rows = page.causal.rows
    if not rows:
        return None
    ends = "; ".join(
        f"{LOOKS[tokens][0]}: {percent(own[0]['turned_share'])} at {own[0]['module']} layer "
        f"{own[0]['layer']}, {percent(own[-1]['turned_share'])} at {own[-1]['module']} layer "
        f"{own[-1]['layer']}"
        for tokens in LOOKS
        if (own := [row for row in rows if row["tokens"] == tokens])
    )
    return Drawing(
        f"{page.key}-causal",
        lambda figure, is_narrow: _draw(rows, figure, is_narrow),
        f"Causal curve of {page.model_id} on {page.dataset_id}",
        f"Share of the answers that turn to the class of the states put there, by locus. {ends}.",
        wide=280,
        narrow=280,
    )


def _draw(rows: list[Row], figure: Figure, is_narrow: bool) -> None:
    loci = {float(row["depth"]): row for row in rows}
    axes = axes_over_loci(figure, loci, is_narrow, "answers turned", -4)
    labels = [_curve(axes, rows, tokens, is_narrow) for tokens in LOOKS]
    labels.append(_controls(axes, rows))
    label_right(axes, [label for label in labels if label is not None])


def _curve(axes: Axes, rows: list[Row], tokens: str, is_narrow: bool) -> Label | None:
    """The loci at which these tokens were patched; its label, None where they were nowhere."""
    own = [row for row in rows if row["tokens"] == tokens]
    if not own:
        return None
    name, short, role, marker, dash = LOOKS[tokens]
    x = [row["depth"] for row in own]
    low, high = ([100 * row[end] for row in own] for end in ("lower", "upper"))
    axes.fill_between(x, low, high, color=colour(role), alpha=0.14, linewidth=0)
    y = [100 * row["turned_share"] for row in own]
    (line,) = axes.plot(
        *(x, y), color=colour(role), marker=marker, markersize=4.5, linewidth=1.9, linestyle=dash
    )
    mark(line, tokens)
    point_out(line, tokens, [_said(row) for row in own])
    return y[-1], short if is_narrow else name, role


def _said(row: Row) -> str:
    """'llm 3, last prompt token: 96.1% turn (93.0 to 97.9)'."""
    place = f"{row['module']} {row['layer']}, {LOOKS[row['tokens']][0]}"
    sure = bounds(row["lower"], row["upper"])
    return f"{place}: {percent(row['turned_share'], 1)} turn{f' ({sure})' if sure else ''}"


def _controls(axes: Axes, rows: list[Row]) -> Label | None:
    """What the strongest control of all tokens of a locus turns."""
    whole = [row for row in rows if row["module"] != LLM or row["tokens"] != IMAGE_PATCH]
    known: dict[int, float] = {}
    for row in whole:
        if row["control_share"] is not None:
            known[row["depth"]] = max(known.get(row["depth"], 0.0), row["control_share"])
    if not known:
        return None
    x = sorted(known)
    y = [100 * known[depth] for depth in x]
    (line,) = axes.plot(x, y, color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))
    mark(line, "control")
    return y[-1], "controls", "muted"
