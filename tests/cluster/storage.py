"""A real S3-compatible server on this machine for the tests of lakes in buckets: moto's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "lakes"


def moto_server() -> str | None:
    """The command, from the environment that `make test-storage` sets up or on the PATH."""
    own = ROOT / ".venv-moto" / "bin" / "moto_server"
    beside = Path(sys.executable).with_name("moto_server")
    found = next((str(path) for path in (own, beside) if path.exists()), None)
    return os.environ.get("MOTO_SERVER") or found or shutil.which("moto_server")


@contextmanager
def s3_server(command: str) -> Iterator[str]:
    """Serve S3 with one empty bucket on a free port of the loopback; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [command, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _make_bucket(f"{address}/{BUCKET}", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _make_bucket(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "moto's server ended by itself"
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("moto's server did not answer within a minute")
