"""A contact sheet: a few images of each class, as a model is shown them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.catalogue import DatasetInfo, dataset, open_tables
from warehouse.files import telling_unwritable, write_at_once
from warehouse.images import open_image
from warehouse.lake import Lake

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES, TILE, GAP, TITLE = 8, 128, 8, 22
"""Images of a class; pixels of a tile's side, between tiles, and for a class's name."""
ROWS = 60
"""Classes that a sheet holds at most, over all of its datasets."""


def preview(lake: Lake, names: Sequence[str], out: str | Path) -> None:
    """Writes a sheet of registered datasets to the PNG file `out`.

    UsageError for a file of the lake's own, LayerhouseError where it cannot be written, or an image
    not be read.
    """
    lake.refuse_own(Path(out))
    from PIL import Image as Images, ImageDraw, ImageFont

    rows = []
    with open_tables(lake) as warehouse:
        for name in names:
            info = dataset(warehouse, name)
            prefix = f"{name}: " if len(names) > 1 else ""
            rows += [(f"{prefix}{title}", uris) for title, uris in _rows(info)]
    height = TITLE + TILE + GAP
    sheet = Images.new(
        "RGB", (IMAGES * (TILE + GAP) + GAP, len(rows[:ROWS]) * height + GAP), "#777"
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (title, uris) in enumerate(rows[:ROWS]):
        top = number * height + GAP
        draw.text((GAP, top), title, "white", font)
        for place, uri in enumerate(uris):
            tile = _tile(open_image(uri))
            left = GAP + place * (TILE + GAP) + (TILE - tile.width) // 2
            sheet.paste(tile, (left, top + TITLE + (TILE - tile.height) // 2))
    with telling_unwritable(out):
        write_at_once(Path(out), lambda path: sheet.save(path, "PNG"))


def _rows(info: DatasetInfo) -> list[tuple[str, list[str]]]:
    """The title of each class and the uris of some of its images, in the order of a hash."""
    found = []
    for row in info.classes:
        own = info.samples.filter(info.samples["class_index"] == row.index)
        spelled = "" if row.phrase == row.label else f" “{row.phrase}”"
        found.append((f"{row.label}{spelled}, {own.height:,} images", _some(own.rows(named=True))))
    return found or [(f"{info.samples.height:,} images", _some(info.samples.rows(named=True)))]


def _some(samples: Sequence[dict[str, str]]) -> list[str]:
    def turn(sample: dict[str, str]) -> str:
        return hashlib.blake2b(sample["sample_id"].encode(), digest_size=8).hexdigest()

    return [sample["uri"] for sample in sorted(samples, key=turn)[:IMAGES]]


def _tile(image: Image) -> Image:
    """At most as large as a tile; what is smaller grows without being smoothed."""
    from PIL.Image import Resampling

    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Resampling.NEAREST if scale > 1 else Resampling.LANCZOS)
