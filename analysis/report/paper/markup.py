"""A printed table as LaTeX, Markdown or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """What a reader sees: a name, or numbers with a minus sign of their own."""

    text: str
    is_bold: bool = False


@dataclass(frozen=True)
class Grid:
    """A table to print; `rows` as a reader sees them, `records` as they are in the warehouse."""

    title: str
    headers: Sequence[str]
    n_names: int
    """The first columns hold names and stand left, all others hold numbers and stand right."""
    rows: Sequence[Sequence[Field]]
    records: Sequence[dict[str, Any]]


_IN_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": "$|$",
    '"': r"\symbol{34}",
    "`": r"\`{}",
    "−": "$-$",
    "–": "--",
} | {letter: f"\\{letter}" for letter in "&%$#_"}
LATIN = "\u024f"
"""The last letter that LaTeX's usual engine has."""


def latex(grid: Grid) -> str:
    """A `tabular` of booktabs, to stand in a float of the reader's own."""
    title = _one_line(grid.title)
    lines = [f"% {title}", r"% needs \usepackage{booktabs}"]
    body = [_latex_row(row) for row in grid.rows]
    if any(letter > LATIN for letter in re.sub("[−–]", "", "".join(_texts(grid)))):
        lines.append("% some letters need XeLaTeX or LuaLaTeX, and a font that has them")
    shape = "l" * grid.n_names + "r" * (len(grid.headers) - grid.n_names)
    head = _latex_row([Field(name) for name in grid.headers])
    lines += [f"\\begin{{tabular}}{{{shape}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _texts(grid: Grid) -> list[str]:
    return [cell.text for row in grid.rows for cell in row]


def _latex_row(row: Sequence[Field]) -> str:
    cells = ((escaped_latex(cell.text), cell.is_bold) for cell in row)
    line = " & ".join(f"\\textbf{{{text}}}" if bold else text for text, bold in cells)
    # Behind the end of a line, these would be its options.
    return ("{}" if line.startswith(("[", "*")) else "") + line + r" \\"


def escaped_latex(text: str) -> str:
    return "".join(_IN_LATEX.get(letter, letter) for letter in _one_line(text))


def markdown(grid: Grid) -> str:
    """A table as GitHub and Pandoc read it."""
    sides = [" --- "] * grid.n_names + [" ---: "] * (len(grid.headers) - grid.n_names)
    lines = [f"| {' | '.join(grid.headers)} |", f"|{'|'.join(sides)}|"]
    return "\n".join([*lines, *(_markdown_row(row, grid.n_names) for row in grid.rows), ""])


def _markdown_row(row: Sequence[Field], n_names: int) -> str:
    cells = [
        (_IN_MARKDOWN.sub(r"\\\1", _one_line(field.text)) if at < n_names else field.text, field)
        for at, field in enumerate(row)
    ]
    return f"| {' | '.join(f'**{text}**' if field.is_bold else text for text, field in cells)} |"


_IN_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~$&])")


def comma_separated(grid: Grid) -> str:
    """The rows as `layerhouse sql` gives them, all columns in full; no text is a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(grid.records[0])
    writer.writerows([_for_sheets(value) for value in row.values()] for row in grid.records)
    return stream.getvalue()


def _for_sheets(value: object) -> object:
    """As in published files, a text that a spreadsheet would run begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _one_line(text: str) -> str:
    return " ".join(text.split())


MARKUPS: dict[str, tuple[str, Callable[[Grid], str]]] = {
    "latex": ("tex", latex),
    "markdown": ("md", markdown),
    "csv": ("csv", comma_separated),
}
"""By the name a person types: the file's ending, and what writes it."""
