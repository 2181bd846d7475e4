"""What else than the class can be read along the pipeline."""

from __future__ import annotations

from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.figures.canvas import label_right, mark, percent, shortened
from analysis.report.figures.loci import axes_over_loci
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing

HUES = ("last", "grid", "cls", "connector", "kept")
MARKERS = "^sDvP"
CLASS = "the class"


def nuisance(page: ModelPage) -> Drawing | None:
    """Signal of every attribute that was probed by locus, beside that of the class; None without.

    All are corrected for their own chance, so that attributes of few and of many values compare.
    """
    rows = page.nuisance.rows
    if not rows:
        return None
    ends = "; ".join(
        f"{name}: {percent(own[-1]['signal'] or 0)} at the last locus"
        for name, own in _by_attribute(rows).items()
    )
    return Drawing(
        f"{page.key}-nuisance",
        lambda figure, is_narrow: _draw(rows, figure, is_narrow),
        f"Nuisances of {page.model_id} on {page.dataset_id}",
        f"Accuracy above chance on test of attributes of the images, by locus. {ends}.",
        wide=280,
        narrow=280,
    )


def _by_attribute(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["attribute"], []).append(row)
    return found


def _draw(rows: list[Row], figure: Figure, is_narrow: bool) -> None:
    attributes = _by_attribute(rows)
    longest = max(attributes.values(), key=len)
    loci = {float(row["depth"]): row for row in longest}
    known = [row[name] for row in rows for name in ("signal", "class_signal")]
    lowest = min((value for value in known if value is not None), default=0)
    axes = axes_over_loci(figure, loci, is_narrow, "above chance", min(-4, 100 * lowest - 4))
    axes.axhline(0, color=colour("muted"), linewidth=1, linestyle=(0, (1, 2)))
    room = 10 if is_narrow else 20
    labels = [_curve(axes, longest, "class_signal", CLASS, ("mean", "o", "-"))]
    looks = zip(attributes.items(), cycle(zip(HUES, MARKERS, strict=True)), strict=False)
    for (name, own), (hue, marker) in looks:
        label = _curve(axes, own, "signal", name, (hue, marker, "--"))
        labels.append(label and (label[0], shortened(name, room), hue))
    label_right(axes, [label for label in labels if label is not None])


def _curve(
    axes: Axes, rows: list[Row], column: str, name: str, look: tuple[str, str, str]
) -> tuple[float, str, str] | None:
    """Draws the loci at which the number is known; its label, None where it is known nowhere."""
    hue, marker, dash = look
    known = [row for row in rows if row[column] is not None]
    if not known:
        return None
    y = [100 * row[column] for row in known]
    (line,) = axes.plot(
        [row["depth"] for row in known],
        y,
        color=colour(hue),
        marker=marker,
        markersize=4.5,
        linewidth=1.9 if dash == "-" else 1.4,
        linestyle=dash,
    )
    mark(line, name)
    return y[-1], name, hue
