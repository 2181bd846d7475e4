"""`layerhouse report`: read the warehouse, draw, fill one template, write one file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from markupsafe import Markup

from analysis.diagnosis import FamilyLoss
from analysis.report import figures
from analysis.report.choosing import wanted
from analysis.report.environment import environment_for, style_sheet
from analysis.report.reading import Pages, read_families, read_pages
from warehouse.catalogue import connect
from warehouse.errors import UsageError
from warehouse.files import telling_unwritable, write_at_once, write_text
from warehouse.lake import Lake

IMAGES = 6
"""Lost images shown per model and stage, a few kilobytes each."""


def report(
    lake: Lake,
    out: Path,
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    *,
    images: int = IMAGES,
    page: int = 1,
) -> Path:
    """Write one self-contained HTML file about these models on these datasets; all by default.

    `images` bounds how many lost images are embedded per model and stage, 0 for none. Of many
    models it is the file of one `page`. The same lake gives the same bytes. Returns the path
    written. Raises UsageError for an unknown model, dataset or page and for an `out` that is a
    folder, LayerhouseError when there is nothing to report or the file cannot be written.
    """
    if images < 0:
        raise UsageError(f"the number of images to show is at least 0, not {images}")
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, for instance {out}/report.html")
    with connect(lake) as wh:
        pages = read_pages(wh, wanted(wh, models, datasets), images, page)
        families = read_families(wh, pages)
    _write(out, _render(pages, families, lake.name))
    return out


def _render(pages: Pages, families: Mapping[str, Sequence[FamilyLoss]], lake_name: str) -> str:
    environment = environment_for()
    script = environment.get_template("script.js.jinja").render()
    return environment.get_template("report.html.jinja").render(
        pages=pages,
        families=families,
        lake_name=lake_name,
        figures=figures,
        style=Markup(style_sheet(environment)),
        script=Markup(script),
        script_hash=_source_hash(script),
    )


def _source_hash(script: str) -> str:
    """What the page's security policy lets run: this very script and no other."""
    return f"sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}"


def _write(out: Path, text: str) -> None:
    with telling_unwritable(f"the report {out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_at_once(out, lambda path: write_text(path, text))
