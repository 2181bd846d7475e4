"""What templates are filled with: the report's own, and those of pages that look like it.

Figures are not among it: matplotlib takes its time, and a page without a figure none of that.
"""

from __future__ import annotations

from shlex import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from analysis.report import words
from analysis.report.palette import AGAINST, FOR, css
from warehouse.vocabulary import DEFAULT_PROBE_KIND, LAYERED


def environment_for(*packages: str) -> Environment:
    """Fills templates of the report, and before those of packages that have `templates` of their
    own, with the report's filters and names."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "analysis.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = (
        "image_faults",
        "measured",
        "percent",
        "points",
        "loss",
        "score",
        "moment",
        "seconds",
        "versions",
        "coded",
        "breakable",
        "shortened",
        "together",
    )
    environment.filters |= {name: getattr(words, name) for name in named}
    environment.filters["as_word"] = quote
    environment.globals |= {
        "bounds": words.bounds,
        "loss_bounds": words.loss_bounds,
        "verdicts": words.VERDICTS,
        "stage_names": words.STAGE_NAMES,
        "default_kind": DEFAULT_PROBE_KIND,
        "layered": LAYERED,
        "what_to_run": words.WHAT_TO_RUN,
    }
    return environment


def style_sheet(environment: Environment) -> str:
    """How the report looks, in light and in dark."""
    return environment.get_template("style.css.jinja").render(
        light=css(0), dark=css(1), for_=FOR, against=AGAINST
    )
