"""Layerhouse: where does a multimodal language model lose the class of an image?

wh = layerhouse.connect("lakehouse")
wh.sql("SELECT * FROM failure_mode").pl()
X, samples = wh.activations(
    model="tiny-digits", dataset="digits", module="llm", layer=3, readout="last"
)
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from layerhouse.shadows import refuse_shadows

refuse_shadows()  # before anything is imported from a package that may be another's

if TYPE_CHECKING:
    from os import PathLike

    from warehouse.catalogue.reading import Warehouse

__all__ = ["__version__", "connect"]

__version__ = version("layerhouse")


def connect(lake: str | PathLike[str] | None = None) -> Warehouse:
    """Open a lake read-only, its catalogue brought up to date first.

    `lake` is the lake's folder or its URL (s3://…, gs://…); None means `$LAYERHOUSE_LAKE` or
    `./lakehouse`. Raises `LayerhouseError` where there is no lake.
    """
    from warehouse.catalogue import refreshing as catalogue
    from warehouse.lake.lake import Lake

    return catalogue.connect(Lake.at(lake))
