"""The documentation as a site: `make site`. The pages are Markdown, and read on their own too."""

from __future__ import annotations

import inspect
import typing
from itertools import groupby

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from layerhouse import __version__

project = "Layerhouse"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
smartquotes = False
default_role = "code"  # docstrings and help write `names` as Markdown does

html_theme = "furo"
html_title = "Layerhouse"
html_show_copyright = False
html_copy_source = False

# A link to a page or a heading that is not there, a page in no list, a name that cannot be
# imported: each is a warning, and `make site` takes none. Nothing is fetched from outside.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r".*")]  # annotations name classes that no page shows
myst_heading_anchors = 4

autodoc_typehints = "none"
autodoc_preserve_defaults = True


def setup(app: Sphinx) -> None:
    app.add_lexer("mermaid", TextLexer)  # a code host draws it; a site without scripts shows it
    app.connect("autodoc-process-docstring", told)
    app.connect("sphinx-click-process-description", with_examples)


def told(
    _app: Sphinx, what: str, _name: str, thing: object, _asked: object, lines: list[str]
) -> None:
    """A module's docstring says what the page says anyway; a function's is told its options."""
    if what == "module":
        lines.clear()
    if what == "function" and (accepted := _options(thing)):
        lines += ["", f"Options, as ``--help`` of its :doc:`command <cli>` tells them: {accepted}."]


def _options(function: object) -> str:
    """What `**options: Unpack[SomeOptions]` takes."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        return ""
    unpacked = typing.get_args(hints.get("options"))
    names = typing.get_type_hints(unpacked[0]) if unpacked else ()
    return ", ".join(f"``{name}``" for name in names)


def with_examples(_app: Sphinx, _context: object, lines: list[str]) -> None:
    """The examples of a command's help, which come as lines of verse, as code."""
    found: list[str] = []
    for is_example, group in groupby(lines, key=lambda line: line.startswith("| ")):
        if is_example:
            found += [".. code-block:: console", "", *(f"   {line[2:]}" for line in group), ""]
        else:
            found += group
    lines[:] = found
