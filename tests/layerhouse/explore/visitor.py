"""Asks the explorer for its pages without a browser, and starts it as a person does."""

from __future__ import annotations

import asyncio
import html
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from layerhouse.explore import make_app
from layerhouse.explore.sources import Explored

SQL = re.compile(r'<pre [^>]*aria-label="SQL: ([^"]*)"><code>(.*?)</code>', re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the headers by their names in small letters, the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def queries(self) -> dict[str, str]:
        """The SQL that the page shows, by name, as a person copies it."""
        return {name: html.unescape(query) for name, query in SQL.findall(self.text)}


class Visitor:
    """Visits the pages of one source, in this process."""

    def __init__(self, source: Explored) -> None:
        self.app = make_app(source)

    def get(
        self, path: str, *, host: str = "127.0.0.1:8501", verb: str = "GET", **given: Any
    ) -> Answer:
        """The page at a path, with parameters of the address (`with_` is `with`)."""
        query = urlencode({name.rstrip("_"): value for name, value in given.items()})
        sent: list[Any] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": verb,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", host.encode())],
            "server": ("127.0.0.1", 8501),
            "client": ("127.0.0.1", 50000),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], headers, body)


def words(text: str) -> str:
    """What a page says, without its tags."""
    inside = text[text.index("<main") : text.index('<details class="asked">')]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())


@contextmanager
def exploring(*words: str, cwd: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`layerhouse explore`, started; gives its address and the process, which ends afterwards."""
    command = [sys.executable, "-m", "layerhouse", "explore", "--port", "0", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said + process.stdout.read()
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
