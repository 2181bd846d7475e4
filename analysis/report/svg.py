"""matplotlib figures as inline SVG that follows the page's colours and fonts."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import quote

import matplotlib
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.report.palette import colour, with_variables

WIDE, NARROW = 760, 380
"""Widths in CSS pixels: a figure is drawn for both, and the page shows the one that fits."""

MARK = "mark-"
"""Ids with this beginning name drawn data; they become `data-mark` attributes."""

NOISE = (
    r"<metadata>.*?</metadata>",
    r"<defs>\s*<style.*?</style>\s*</defs>",  # it would style the whole page
    r"<!--.*?-->",
)

_POINTED: ContextVar[dict[str, list[tuple[str, str]]] | None] = ContextVar("pointed", default=None)
"""What the points of each artist say, and their keys, by its id; None where nobody will point at
them."""

Draw = Callable[[Figure, bool], None]
"""Draws on an empty figure; the flag says whether it is the narrow one."""


@contextmanager
def missing_glyphs() -> Iterator[None]:
    """Within it matplotlib says nothing of letters that its font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")
        yield


@dataclass(frozen=True)
class Drawing:
    """A figure that is not drawn yet: `wide` and `narrow` are the heights of its two versions.

    `key` is unique on a page. `panels`: parts that each fill a narrow figure of their own; on a
    page they stand one below the other, on paper each in a file.
    """

    key: str
    draw: Draw
    title: str
    description: str
    wide: int
    narrow: int
    panels: Mapping[str, Draw] = field(default_factory=dict)

    def __html__(self) -> Markup:
        """Both versions as inline SVG, described for screen readers; always the same bytes."""
        parts = []
        for name, is_narrow, width, height in (
            ("wide", False, WIDE, self.wide),
            ("narrow", True, NARROW, self.narrow),
        ):
            key = f"{self.key}-{name}"
            label = (
                f'<title id="{key}-title">{escape(self.title)}</title>'
                f'<desc id="{key}-desc">{escape(self.description)}</desc>'
            )
            opening = (
                f'<svg class="{name}" role="img" viewBox="0 0 {width} {height}" '
                f'aria-labelledby="{key}-title {key}-desc">'
            )
            drawn = _draw(key, self.draw, width, height, is_narrow)
            parts.append(opening + label + drawn + "</svg>")
        return Markup("\n".join(parts))


@contextmanager
def pointed_out() -> Iterator[None]:
    """Points that are drawn in this block say what they are when somebody points at them."""
    before = _POINTED.set({})
    try:
        yield
    finally:
        _POINTED.reset(before)


def point_out(artist: Artist, name: str, said: Sequence[str], keys: Sequence[str] = ()) -> None:
    """What each marker of a line says in a page that shows it: `said` [n points], in their order,
    and what a page may know them by, `keys` [n points] or none. `name` is as for `mark`, of which
    nothing else of the figure has the same."""
    pointed = _POINTED.get()
    if pointed is not None:
        identity = quote(name, safe=":")
        artist.set_gid(f"{MARK}{identity}")
        pointed[identity] = list(zip(said, keys or [""] * len(said), strict=True))


def style() -> dict[Any, Any]:
    """What matplotlib draws every figure with, in the colours of the moment."""
    return {
        "font.size": 12,
        "text.parse_math": False,
        "text.color": colour("ink"),
        "axes.edgecolor": colour("line"),
        "axes.facecolor": "none",
        "axes.labelcolor": colour("muted"),
        "axes.labelsize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "xtick.color": colour("muted"),
        "ytick.color": colour("muted"),
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "patch.linewidth": 0,
    }


def _draw(key: str, draw: Draw, width: int, height: int, is_narrow: bool) -> str:
    """The inside of the SVG element."""
    pointed = _POINTED.get()
    if pointed is not None:
        pointed.clear()
    with matplotlib.rc_context(style() | {"svg.fonttype": "none", "svg.hashsalt": key}):
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        draw(figure, is_narrow)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with missing_glyphs():  # text stays text, for the reader's own fonts
            figure.savefig(buffer, format="svg", metadata=nothing)
    inside = _cleaned(buffer.getvalue(), key)
    for name, points in (pointed or {}).items():
        inside = _saying(inside, name, points)
    return inside


def _saying(inside: str, name: str, points: Sequence[tuple[str, str]]) -> str:
    """The drawing with a title, and its key, in each point of the artist of that name."""
    start = inside.index(f'data-mark="{name}"')
    end = _group_end(inside, start)
    waiting = iter(points)

    def titled(match: re.Match[str]) -> str:
        said, key = next(waiting)
        known = f' data-key="{escape(key)}"' if key else ""
        return f'<use class="point"{match[1]}{known}><title>{escape(said)}</title></use>'

    group, n_points = re.subn(r"<use\b([^>]*?)\s*/>", titled, inside[start:end])
    assert n_points == len(points), f"{name} has {n_points} points, {len(points)} were named"
    return inside[:start] + group + inside[end:]


def _group_end(inside: str, start: int) -> int:
    """Where the group ends in whose opening tag `start` lies."""
    depth = 1
    for tag in re.finditer(r"<g\b|</g>", inside[start:]):
        depth += -1 if tag[0] == "</g>" else 1
        if depth == 0:
            return start + tag.start()
    raise AssertionError("a group that does not end")


def _cleaned(document: str, key: str) -> str:
    """Strip what belongs to a file of its own, and make every id the figure's own."""
    inside = document[document.index(">", document.index("<svg")) + 1 : document.rindex("</svg>")]
    for noise in NOISE:
        inside = re.sub(noise, "", inside, flags=re.DOTALL)
    inside = re.sub(r"font-family: [^;\"]*(?:; )?", "", inside)
    inside = with_variables(inside)
    used = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', inside))

    def identify(match: re.Match[str]) -> str:
        if match[1].startswith(MARK):
            return f' data-mark="{match[1].removeprefix(MARK)}"'
        return f' id="{key}-{match[1]}"' if match[1] in used else ""

    inside = re.sub(r'\sid="([^"]+)"', identify, inside)
    inside = re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", inside)
    inside = inside.replace("xlink:href", "href")
    return re.sub(r"\s*\n\s*", "\n", inside).strip()
