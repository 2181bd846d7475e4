"""How well the class can be read along the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from analysis.report.figures.canvas import (
    axes_in_pixels,
    label_right,
    lines_across,
    mark,
    percent,
)
from analysis.report.figures.loci import HEAD, name_stage, number_step
from analysis.report.figures.naming import name_clear
from analysis.report.palette import colour
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing, point_out
from analysis.report.words import bounds, measured
from warehouse.vocabulary import ACCURACY, ANSWER, BLOCK


@dataclass(frozen=True)
class Look:
    """How a readout is drawn; hue (a role of the palette), marker and dash all tell it apart."""

    name: str
    short: str
    role: str
    marker: str
    dash: str


LOOKS = {
    "mean": Look("image tokens, mean", "mean", "mean", "o", "-"),
    "grid": Look("image tokens, 2×2 grid", "grid", "grid", "s", ":"),
    "last": Look("last prompt token", "last", "last", "^", "-"),
    "cls": Look("class token", "cls", "cls", "D", "--"),
    "reply": Look("reply, before the class is named", "reply", "last", "d", "--"),
}

MARKERS = "vP*X<>"
"""Readouts of packages share one hue; their markers tell them apart as far as these go."""

Label = tuple[float, str, str]
"""(height, text, role of its colour)"""


def signal_curve(page: ModelPage) -> Drawing | None:
    """Test accuracy per locus and readout with Wilson 95% bands, the answer, baseline, chance; None
    for a model of which no layer is known.
    """
    if not page.loci.rows:
        return None

    def draw(figure: Figure, is_narrow: bool) -> None:
        _Curve(page, figure, is_narrow).draw()

    return Drawing(
        f"{page.key}-curve",
        draw,
        f"Signal curve of {page.model_id} on {page.dataset_id}",
        _description(page),
        wide=360,
        narrow=330,
    )


def _said(row: Row) -> str:
    """'llm 3, mean: 96.6% (94.2 to 98.0)'."""
    place = f"{row['module']} {row['layer']}, {row['readout']}"
    sure = bounds(row["wilson_lower"], row["wilson_upper"])
    return f"{place}: {percent(row['test_accuracy'], 1)}{f' ({sure})' if sure else ''}"


def looks(page: ModelPage) -> dict[str, Look]:
    """How each readout is drawn: ours, then those that packages brought to this page, by name."""
    others = sorted({row["readout"] for row in page.curve.rows} - set(LOOKS))
    return LOOKS | {
        name: Look(name, name, "kept", MARKERS[number % len(MARKERS)], "-.")
        for number, name in enumerate(others)
    }


def _description(page: ModelPage) -> str:
    ends = []
    for readout, look in looks(page).items():
        points = [row for row in page.curve.rows if row["readout"] == readout and row["on_path"]]
        if points:
            first, last = points[0], points[-1]
            ends.append(
                f"{look.name}: {percent(first['test_accuracy'])} at {first['module']} "
                f"layer {first['layer']}, {percent(last['test_accuracy'])} at {last['module']} "
                f"layer {last['layer']}"
            )
    answer = page.signal(ANSWER)
    if answer:
        ends.append(f"the answer: {percent(answer['test_accuracy'])}")
    named = measured(page.finding.score)
    return f"Test {named} by locus in pipeline order. {'; '.join(ends)}."


class _Curve:
    """One drawing of the figure."""

    def __init__(self, page: ModelPage, figure: Figure, is_narrow: bool) -> None:
        self.page = page
        self.is_narrow = is_narrow
        self.last_depth = max(row["depth"] for row in page.loci.rows)
        # The answer stands apart from the last locus, however many loci there are.
        self.half_step = max(0.5, 0.014 * self.last_depth)
        self.answer_x = self.last_depth + 3 * self.half_step
        self.axes = axes_in_pixels(
            figure, left=46, right=96 if is_narrow else 158, top=HEAD, bottom=42
        )
        self.labels: list[Label] = []
        self.early: list[tuple[str, list[tuple[float, float]], str]] = []

    def draw(self) -> None:
        self._frame()
        self._modules()
        self._available()
        self._levels()
        for readout, look in looks(self.page).items():
            self._readout(readout, look)
        self._answer()
        taken: list[Bbox] = []
        for name, points, role in self.early:
            name_clear(self.axes, name, points, role, taken)
        label_right(self.axes, self.labels)

    def _frame(self) -> None:
        axes = self.axes
        low = self._lowest()
        axes.set_xlim(-0.7, self.answer_x + 1.4 * self.half_step)
        axes.set_ylim(low, 102)
        step = 20 if low < 30 else 10
        axes.set_yticks(range(step * ceil(low / step), 101, step))
        axes.set_ylabel(f"test {measured(self.page.finding.score)} (%)")
        axes.set_xlabel("layer within each stage")
        lines_across(axes)

    def _lowest(self) -> float:
        values = [row["wilson_lower"] for row in self.page.curve.rows]
        values += [row["chance"] for row in self.page.signals.rows]
        values += [row["test_accuracy"] for row in self.page.signals.rows]
        answer = self.page.signal(ANSWER)
        values += [self._answer_bounds(answer)[0]] if answer else []
        known = [value for value in values if value is not None]
        return max(0, 10 * floor(10 * min(known, default=0)) - 4)

    def _modules(self) -> None:
        """Bands behind the stages, their names on top, layer numbers below."""
        ticks: list[tuple[float, str]] = []
        for number, (module, loci) in enumerate(self._spans().items()):
            start, end = loci[0]["depth"] - 0.5, loci[-1]["depth"] + 0.5
            if number % 2 == 0:
                self.axes.axvspan(start, end, color=colour("band"), zorder=0)
            name_stage(self.axes, (start + end) / 2, module, self.is_narrow)
            ticks += self._ticks(loci)
        name_stage(self.axes, self.answer_x, ANSWER, self.is_narrow)
        self.axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])

    def _spans(self) -> dict[str, list[Row]]:
        spans: dict[str, list[Row]] = {}
        for row in self.page.loci.rows:
            spans.setdefault(row["module"], []).append(row)
        return spans

    def _ticks(self, loci: list[Row]) -> list[tuple[float, str]]:
        """Layer numbers of the blocks, as many as fit."""
        step = number_step(self.axes, self.answer_x + 1.4)
        return [
            (row["depth"], str(row["layer"]))
            for row in loci
            if row["kind"] == BLOCK and row["layer"] % step == 0
        ]

    def _available(self) -> None:
        """Grey bars: what is still available after each stage."""
        spans = self._spans()
        for row in self.page.signals.rows:
            loci = spans.get(row["stage"])
            start = loci[0]["depth"] - 0.5 if loci else self.answer_x - self.half_step
            end = loci[-1]["depth"] + 0.5 if loci else self.answer_x + self.half_step
            self.axes.plot(
                [start, end],
                [100 * row["available_accuracy"]] * 2,
                color=colour("available"),
                linewidth=5,
                alpha=0.55,
                solid_capstyle="butt",
                zorder=1.5,
            )

    def _levels(self) -> None:
        """Baseline and chance across the whole pipeline."""
        best = self.page.baselines.first
        if best:
            self._level(best["test_accuracy"], (0, (6, 3)), best["architecture"], "baseline")
        first = self.page.signals.first
        if first and first["chance"] is not None:
            name = "largest class" if self.page.finding.score == ACCURACY else "chance"
            self._level(first["chance"], (0, (1, 2)), name, "chance")

    def _level(
        self, share: float, dash: tuple[int, tuple[int, int]], name: str, short: str
    ) -> None:
        self.axes.axhline(100 * share, color=colour("muted"), linewidth=1, linestyle=dash, zorder=1)
        text = f"{short} {percent(share)}" if self.is_narrow else f"{name} {percent(share)}"
        self.labels.append((100 * share, text, "muted"))

    def _readout(self, readout: str, look: Look) -> None:
        rows = [row for row in self.page.curve.rows if row["readout"] == readout]
        on_path = [row for row in rows if row["on_path"]]
        hue = colour(look.role)
        size = 3.2 if self.is_narrow or self.last_depth > 40 else 4.5
        if on_path:
            x = [row["depth"] for row in on_path]
            self.axes.fill_between(
                x,
                [100 * row["wilson_lower"] for row in on_path],
                [100 * row["wilson_upper"] for row in on_path],
                color=hue,
                alpha=0.14,
                linewidth=0,
                zorder=2,
            )
            y = [100 * row["test_accuracy"] for row in on_path]
            (line,) = self.axes.plot(
                x,
                y,
                color=hue,
                marker=look.marker,
                markersize=size,
                linewidth=1.2 if look.dash == ":" else 1.9,
                linestyle=look.dash,
                zorder=3,
            )
            mark(line, readout)
            point_out(line, readout, [_said(row) for row in on_path])
            self._name_curve(look, x, y)
        aside = [row for row in rows if not row["on_path"]]
        (marks,) = self.axes.plot(
            [row["depth"] for row in aside],
            [100 * row["test_accuracy"] for row in aside],
            color=hue,
            marker=look.marker,
            markersize=size,
            markerfacecolor=colour("surface"),
            linestyle="none",
            zorder=3,
        )
        if aside:
            said = [f"{_said(row)}, off the path" for row in aside]
            point_out(marks, f"{readout}:aside", said)

    def _name_curve(self, look: Look, x: list[int], y: list[float]) -> None:
        """At the right edge if the curve runs to the end, else beside it, once all are drawn."""
        name = look.short if self.is_narrow else look.name
        if x[-1] == self.last_depth:
            self.labels.append((y[-1], name, look.role))
            return
        points = [(float(depth), share) for depth, share in zip(x, y, strict=True)]
        self.early.append((name, points[::-1], look.role))

    def _answer_bounds(self, answer: Row) -> tuple[float, float]:
        """The answer's interval, by the score that its dataset rests on."""
        spoken = next(row for row in self.page.answers.rows if row["method"] == answer["readout"])
        return spoken["score_lower"], spoken["score_upper"]

    def _answer(self) -> None:
        answer = self.page.signal(ANSWER)
        if not answer:
            return
        share = 100 * answer["test_accuracy"]
        lower, upper = self._answer_bounds(answer)
        _, _, (bar,) = self.axes.errorbar(
            [self.answer_x],
            [share],
            yerr=[  # at 0 and at 1 the bounds are these but for rounding
                [max(0.0, share - 100 * lower)],
                [max(0.0, 100 * upper - share)],
            ],
            color=colour("ink"),
            marker="D",
            markersize=7,
            linewidth=1.6,
            zorder=4,
        )
        mark(bar, "answer-interval")
        self.labels.append((share, f"answer {percent(answer['test_accuracy'])}", "ink"))
