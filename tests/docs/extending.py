"""The examples of the page on extensions."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def example(heading: str) -> str:
    """The first Python example below a heading of the page."""
    section = re.search(
        rf"^## {heading}\n((?:(?!## ).*\n)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert section is not None, f"the page has no section {heading}"
    code = re.search(r"^```python\n((?:.*\n)*?)```", section[1], re.MULTILINE)
    assert code is not None, f"the section {heading} has no example"
    return code[1]
