"""A Superset of its own on loopback, from an empty folder to its end, and its REST API."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
USER = "admin"
START_SECONDS = 180
APP = "superset.app:create_app()"
GUNICORN = ("--workers", "1", "--threads", "8", "--timeout", "300")


class Superset:
    """A session of the REST API, logged in."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.password = password
        self._session = requests.Session()
        login = {"username": USER, "password": password, "provider": "db", "refresh": False}
        token = self.call("POST", "security/login", json=login)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        csrf = self.call("GET", "security/csrf_token/")["result"]
        self._session.headers.update({"X-CSRFToken": csrf, "Referer": url})

    def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises RuntimeError with Superset's words where it fails."""
        response = self._session.request(
            method, f"{self.url}/api/v1/{path}", timeout=300, **request
        )
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text[:2000]}")
        return response.json()


@contextmanager
def running(home: Path) -> Iterator[Superset]:
    """A server whose data lie in the empty folder `home`; it is stopped afterwards.

    Its secret key and its password are drawn here and live as long as the server.
    """
    password = secrets.token_urlsafe(16)
    environment = {
        **os.environ,
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SUPERSET_SECRET_KEY": secrets.token_urlsafe(42),
        "FLASK_APP": APP,
    }
    log = home / "superset.log"
    with log.open("w") as stream:
        for command in _preparations(password):
            _run(command, environment, stream, log)
        port = _free_port()
        server = subprocess.Popen(
            [*_tool("gunicorn"), *GUNICORN, "--bind", f"127.0.0.1:{port}", APP],
            env=environment,
            stdout=stream,
            stderr=stream,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, server, log)
            yield Superset(url, password)
        finally:
            server.terminate()
            server.wait(60)


def _preparations(password: str) -> Iterator[list[str]]:
    person = ["--firstname", "Layer", "--lastname", "House", "--email", "admin@localhost"]
    yield ["db", "upgrade"]
    yield ["fab", "create-admin", "--username", USER, "--password", password, *person]
    yield ["init"]


def _run(arguments: list[str], environment: dict[str, str], stream: Any, log: Path) -> None:
    command = [*_tool("superset"), *arguments]
    if subprocess.run(command, env=environment, stdout=stream, stderr=stream).returncode != 0:
        raise RuntimeError(f"`superset {arguments[0]}` failed:\n{log.read_text()[-3000:]}")


def _tool(name: str) -> list[str]:
    return [sys.executable, str(Path(sys.executable).with_name(name))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise RuntimeError(f"Superset did not start:\n{log.read_text()[-3000:]}")
