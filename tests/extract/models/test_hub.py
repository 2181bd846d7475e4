"""What the hub answers becomes one sentence: a real client against a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

ANSWERS = {
    "gated": (403, "GatedRepo", "is gated: accept its terms on the hub and log in with"),
    "unknown": (404, "RepoNotFound", "the hub knows no model"),
}


class Hub(BaseHTTPRequestHandler):
    """Refuses everything, the way the hub refuses."""

    def do_GET(self) -> None:
        kind = "gated" if "/gated" in self.path else "unknown"
        status, code, _ = ANSWERS[kind]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "no")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("name", list(ANSWERS))
def test_a_refusal_of_the_hub_says_what_to_do(name: str, hub: str) -> None:
    import os
    import subprocess
    import sys

    code = f"from extract.models.sources import locate; locate('someone/{name}')"
    settings = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "LayerhouseError" in last
    assert ANSWERS[name][2] in last
