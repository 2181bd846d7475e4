"""Templates filled: a page, the page of an error, the style and the script that all share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from analysis.report import environment_for, style_sheet
from layerhouse.explore.sources import Explored, ExploredLake
from layerhouse.explore.visit import Visit
from warehouse.errors import plain

LONG = 300
"""Letters of a reply in a list; the sample's own page has all of them."""


def address(path: str, **parameters: Any) -> str:
    """The address of a page, without the parameters that are empty."""
    given = {
        name.rstrip("_"): value for name, value in parameters.items() if value not in ("", None)
    }
    return f"/{path}{'?' if given else ''}{urlencode(given)}"


class Filler:
    """Fills the templates of one source."""

    def __init__(self, source: Explored) -> None:
        self.source = source
        self._environment = environment_for("layerhouse.explore")
        # Names and replies are whatever somebody wrote; they give no orders to who shows them.
        self._environment.finalize = _harmless
        self._environment.globals |= {
            "address": address,
            "source": source,
            "is_lake": isinstance(source, ExploredLake),
            "long": LONG,
        }
        own = self._environment.get_template("explore.css.jinja").render()
        self._style = f"{style_sheet(self._environment)}\n{own}"
        self._script = self._environment.get_template("explore.js.jinja").render()

    @property
    def style(self) -> Response:
        return Response(self._style, media_type="text/css")

    @property
    def script(self) -> Response:
        return Response(self._script, media_type="text/javascript")

    def page(self, name: str, fill: Callable[[Visit], Mapping[str, Any]], visit: Visit) -> Response:
        """The page of that name about a visit."""
        filled = fill(visit)
        template = self._environment.get_template(f"{name}.html.jinja")
        return HTMLResponse(template.render(filled, asked=visit.asked))

    def error(self, sentence: str, status: int) -> Response:
        """What went wrong, as a page."""
        template = self._environment.get_template("error.html.jinja")
        return HTMLResponse(template.render(sentence=sentence, asked={}), status)


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value)
    return value
