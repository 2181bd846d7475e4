"""What the tests on real clusters share; where a cluster's package is missing they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.datasets import add
from extract.running.extraction import ExtractRequest, extract
from extract.sharing import ledger
from warehouse.lake.lake import Lake

N, RANGE_SIZE = 64, 8
REQUEST = ExtractRequest(
    "tiny-digits", "digits", limit=N, device="cpu", batch_size=8, answers=("likelihood",)
)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges so small that there are several for every worker."""
    monkeypatch.setattr(ledger, "range_size", lambda *_: RANGE_SIZE)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.at(tmp_path / "lake")
    add(lake, "digits", "digits")
    return lake


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """What one undisturbed agent makes of the digits. Readers only."""
    lake = Lake.at(tmp_path_factory.mktemp("alone") / "lake")
    extract(lake, REQUEST)
    return lake
