"""Small pictures of samples, embedded so that the report stays one file."""

from __future__ import annotations

import base64
import io

from warehouse.errors import LayerhouseError
from warehouse.images import open_image

SIDE = 96
"""Longest side in pixels: enough to recognise an image, a few kilobytes each."""
TINY = 32
"""Images up to this side are kept as they are, since JPEG would blur their few pixels."""


def thumbnail(uri: str) -> str | None:
    """The image behind a sample's `uri` as a data URI, at most SIDE pixels wide and high.

    None where it cannot be read any more: a lake travels without its images, and a report about
    numbers must not fail for want of a picture.
    """
    try:
        image = open_image(uri)
    except LayerhouseError:
        return None
    buffer = io.BytesIO()
    if max(image.size) <= TINY:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        image.thumbnail((SIDE, SIDE))
        image.save(buffer, "JPEG", quality=72, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
