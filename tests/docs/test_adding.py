"""docs/adding-a-dataset.md shows what its commands print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.adding import (
    PAGE,
    SHOWN,
    make_archives,
    make_images,
    make_tables,
    make_ward,
    printed,
)

EXAMPLES = list(SHOWN.finditer(PAGE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    make_images(root)
    make_tables(root)
    make_archives(root)
    make_ward(root)
    return root


def test_every_command_of_the_page_prints_what_stands_below_it(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page, in one lake, as a reader would."""
    monkeypatch.chdir(images)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", images / "cache")
    assert len(EXAMPLES) >= 5
    for example in EXAMPLES:
        assert printed(example["command"]) == example["output"], example["command"]
