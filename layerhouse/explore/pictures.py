"""A sample's picture, as the model is shown it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from starlette.responses import Response

from analysis.report import Row
from layerhouse.explore.visit import Visit
from warehouse.errors import LayerhouseError, UsageError, nearest

if TYPE_CHECKING:
    from PIL.Image import Image

SIDES = {"small": 112, "large": 512}
"""Longest side in pixels, by `size` of the address."""
TINY = 64
"""Images up to this side are drawn larger, each pixel a square."""


def picture(visit: Visit) -> Response:
    """The picture of the sample that the address names: only of those that are in the lake."""
    side = SIDES["small" if visit.text("size") == "small" else "large"]
    sample = find_sample(visit, visit.text("dataset"), visit.text("sample"))
    found = read_picture(sample["uri"], side)
    if isinstance(found, str):
        return Response(_instead(), media_type="image/svg+xml")
    buffer = BytesIO()
    found.save(buffer, "PNG")
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(buffer.getvalue(), media_type="image/png", headers=headers)


def find_sample(visit: Visit, dataset_id: str, sample_id: str) -> Row:
    """What is known of a sample. Raises UsageError for one that is not there."""
    query = "sample" if visit.lake else "published_sample"
    found = visit.rows(query, dataset=dataset_id, sample=sample_id)
    if found:
        return found[0]
    alike = visit.rows("alike", dataset=dataset_id, sample=sample_id)
    hint = nearest(sample_id, [row["sample_id"] for row in alike])
    raise UsageError(f"no sample {sample_id!r} in {dataset_id}{hint}")


def read_picture(uri: str | None, side: int) -> Image | str:
    """The image behind a sample's uri, at most `side` pixels wide and high, or in a sentence why
    there is none: a lake travels without its images, a publication without their places."""
    from warehouse.images import open_image

    if uri is None:
        return "a published file holds no images unless it was written with --patients"
    try:
        image = open_image(uri)
    except LayerhouseError as fault:
        return f"its picture cannot be read: {fault}"
    longest = max(image.size)
    if longest <= TINY:
        from PIL.Image import Resampling

        factor = max(1, side // 2 // longest)
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Resampling.NEAREST)
    image.thumbnail((side, side))
    return image


def _instead() -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 112 112" width="112" height="112">'
        '<rect width="112" height="112" fill="#8884"/><text x="56" y="60" text-anchor="middle" '
        'font-family="sans-serif" font-size="13" fill="#888">no image here</text></svg>'
    )
