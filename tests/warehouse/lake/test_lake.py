"""Where a lake is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


def test_a_path_comes_before_the_environment_and_that_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAYERHOUSE_LAKE", raising=False)
    assert Lake.at().root == tmp_path / "lakehouse"
    monkeypatch.setenv("LAYERHOUSE_LAKE", "elsewhere")
    assert Lake.at().root == tmp_path / "elsewhere"
    assert Lake.at("sub/../here").root == tmp_path / "here"
    assert Lake.at(Lake.at("here")) == Lake.at(tmp_path / "here")


@pytest.mark.parametrize("name", ["a*b", "a?b", "a\\b", "model=x", "module=vision/lake"])
def test_paths_that_duckdb_would_misread_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a lake cannot lie at"):
        Lake.at(tmp_path / name)


def test_a_lake_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LayerhouseError, match=r"cannot create the lake .*: Not a directory"):
        Lake.at(tmp_path / "file" / "lake").create()
