"""The BI guide's Python runs, and its list of marts is the catalogue's."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue.definitions import Definitions
from warehouse.publishing.publishing import publish

GUIDE = Path(__file__).parents[2] / "docs" / "bi.md"
SNIPPETS = re.findall(r"```python\n((?:.*\n)*?)```", GUIDE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bi")
    publish(synthetic_lake(root / "lake", {"alpha": Signals()}, n_samples=40), root / "published")
    return root


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["files", "sqlalchemy", "adbc"])
def test_the_python_of_the_guide_runs(folder: Path, snippet: str) -> None:
    if "adbc" in snippet and importlib.util.find_spec("adbc_driver_manager") is None:
        pytest.skip("adbc-driver-manager is not installed")
    subprocess.run([sys.executable, "-c", snippet], cwd=folder, check=True)


def test_the_guide_lists_every_mart() -> None:
    listed = re.findall(r"^\| `(mart_\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(Definitions().marts)
