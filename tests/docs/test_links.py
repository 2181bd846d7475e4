"""Links from page to page and file to file lead somewhere; `make site` checks headings too."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def _targets(page: Path) -> list[str]:
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for part in token.children or ():
            found += [str(part.attrs[name]) for name in ("href", "src") if name in part.attrs]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_is_there(page: Path) -> None:
    own = [link for link in _targets(page) if "://" not in link and not link.startswith("#")]
    missing = [link for link in own if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_links_are_found_at_all() -> None:
    assert "docs/quickstart.md" in _targets(ROOT / "README.md")
