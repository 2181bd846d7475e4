"""The SQL cookbook as data: its recipes, the lake they run on, and their results as Markdown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from extract import datasets
from extract.running.extraction import ExtractRequest, extract
from warehouse.catalogue.refreshing import refresh
from warehouse.lake.lake import Lake

COOKBOOK = Path(__file__).parents[2] / "docs" / "sql-cookbook.md"

RECIPE = re.compile(
    r"^### (?P<title>\d+\. .+)\n(?P<text>(?:.*\n)*?)```sql\n(?P<query>(?:.*\n)*?)```\n"
    r"(?P<result>(?:\n\|.*(?:\n\|.*)*\n)?)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Recipe:
    """One query of the cookbook and the Markdown table shown below it."""

    title: str
    query: str
    result: str


def recipes() -> list[Recipe]:
    found = RECIPE.finditer(COOKBOOK.read_text(encoding="utf-8"))
    return [Recipe(m["title"], m["query"], m["result"].strip()) for m in found]


def script() -> str:
    """The page's Python, which writes the data set of the last recipes into the current folder."""
    match = re.search(r"```python\n((?:.*\n)*?)```", COOKBOOK.read_text(encoding="utf-8"))
    assert match is not None
    return match[1]


def cookbook_lake(demo: Lake, folder: Path) -> Lake:
    """A copy of the demo's lake with the page's own data set, as the page says to make it."""
    lake = Lake.at(folder / "lakehouse")
    shutil.copytree(demo.root, lake.root)
    subprocess.run([sys.executable, "-c", script()], cwd=folder, check=True)
    datasets.add(lake, "inked", str(folder / "inked" / "manifest.csv"))
    extract(lake, ExtractRequest(model="tiny-digits", dataset="inked"))
    refresh(lake)
    return lake
