"""Proof that the Streamlit page shows the lake's own numbers, and the page to look at.

Publishes the marts, opens the page, holds the rows behind every table and chart against what
`layerhouse sql` answers on the lake, then starts the server on loopback and takes a screenshot in
headless Chromium. Exits with 1 on any difference.

`make bi-streamlit LAKE=…` runs it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bi import browser, lake
from bi.streamlit import shown

START_SECONDS = 60
CHARTS = "[data-testid='stVegaLiteChart'] canvas, [data-testid='stVegaLiteChart'] svg.marks"
TABLES = "[data-testid='stDataFrame']"
CONTENT = "[data-testid='stMainBlockContainer']"
WAITING = "[data-testid='stStatusWidget'], [data-testid='stSkeleton']"
ERRORS = "[data-testid='stAlert'], [data-testid='stException']"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its server ends with it
    options = _options()
    source = lake.Lake(options.layerhouse, options.lake)
    with tempfile.TemporaryDirectory(prefix="layerhouse-streamlit-") as folder:
        marts = Path(folder) / "marts.duckdb"
        source.publish(marts)
        rows = shown.rows(shown.open_page(marts))
        equal = [lake.compare(name, rows[name], source.ask(name)) for name in sorted(rows)]
        with running(marts) as url:
            screenshot(url, options.out)
            if options.stay:
                input(f"{url}; Enter stops the server. ")
    return 0 if all(equal) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show the marts in Streamlit, and check them.")
    parser.add_argument("--lake", default="lakehouse", help="the lake's folder")
    parser.add_argument("--layerhouse", default="layerhouse", help="the command to run")
    parser.add_argument("--out", type=Path, default=Path("streamlit.png"), help="the screenshot")
    parser.add_argument("--stay", action="store_true", help="keep the server up until Enter")
    return parser.parse_args()


@contextmanager
def running(marts: Path) -> Iterator[str]:
    """A server on loopback that is stopped afterwards; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(shown.APP)]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {**os.environ, "LAYERHOUSE_MARTS": str(marts)}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"Streamlit did not start within {START_SECONDS} s")


def screenshot(url: str, out: Path) -> None:
    """What a person sees. Raises RuntimeError where the page shows an error or lacks a part."""
    with browser.chromium() as page:
        page.get(url)
        browser.until(page, lambda page: len(browser.find(page, CHARTS)) == len(shown.CHARTS))
        browser.until(page, lambda page: len(browser.find(page, TABLES)) == len(shown.TABLES))
        browser.shoot(page, CONTENT, WAITING, out)
        for fault in browser.find(page, ERRORS):
            raise RuntimeError(f"the page shows an error: {fault}")
    print(f"screenshot {out}")


if __name__ == "__main__":
    sys.exit(main())
