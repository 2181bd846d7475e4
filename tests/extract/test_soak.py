"""The short form of `make soak`: a few kills −9 over extraction, catalogue building and reading."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_doubled_or_misread_when_processes_are_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--kills", "5"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 5 kills" in done.stdout
