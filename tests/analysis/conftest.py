"""One lake and one report with something for every figure, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report import report
from tests.analysis.report_lake import report_lake
from warehouse.lake.lake import Lake


@pytest.fixture(scope="session")
def figure_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Readers only."""
    return report_lake(tmp_path_factory.mktemp("figures") / "lake")


@pytest.fixture(scope="session")
def figure_report(figure_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(figure_lake, tmp_path_factory.mktemp("figures") / "report.html")
