"""The examples that the pages for others show."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def examples(page: str, heading: str) -> dict[str, str]:
    """The code below a heading of a page: the first block of each language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    assert blocks, f"{page} shows no code below {heading!r}"
    return dict(reversed(blocks))
