"""Write the results of every cookbook query into the page: `python -m tests.docs.regenerate LAKE`.

LAKE is a lake that `layerhouse demo` built; it is copied, not changed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.cookbook import COOKBOOK, RECIPE, cookbook_lake
from tests.docs.shown import answered
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake


def main(demo: Lake) -> None:
    page = COOKBOOK.read_text(encoding="utf-8")
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(cookbook_lake(demo, Path(folder))) as wh,
    ):
        for match in reversed(list(RECIPE.finditer(page))):
            start, end = match.span("result")
            page = f"{page[:start]}\n{answered(wh, match['query'])}\n{page[end:]}"
    COOKBOOK.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(Lake.at(sys.argv[1]))
