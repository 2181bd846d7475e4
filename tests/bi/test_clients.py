"""Clients of other languages read the lake's numbers from what is published."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow
NO_CLIENT = shutil.which("npm") is None and shutil.which("Rscript") is None


@pytest.mark.skipif(NO_CLIENT, reason="neither Node.js nor R is installed")
def test_every_client_reads_the_numbers_of_the_lake(tmp_path: Path) -> None:
    synthetic_lake(tmp_path / "lake", {"alpha": Signals(), "beta": Signals()}, n_samples=40)
    command = [sys.executable, "-m", "bi.clients.run", "--lake", str(tmp_path / "lake")]
    command += ["--layerhouse", f"{sys.executable} -m layerhouse", "--work", str(tmp_path / "npm")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout
    assert "differs" not in done.stdout
