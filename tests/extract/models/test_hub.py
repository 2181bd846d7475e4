"""What the hub answers becomes one sentence: a real client against a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from extract.models.registry import find
from extract.models.sources import locate
from warehouse.errors import LayerhouseError, UsageError

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


def test_a_checkpoint_in_a_subfolder_is_named_with_it() -> None:
    entry = find("Med-R1/vqa_ct")
    assert entry is not None
    assert (entry.name, entry.subfolder) == ("med-r1/VQA_CT", "VQA_CT")
    assert find("yuxianglai117/Med-R1/VQA_CT") == entry
    with pytest.raises(UsageError, match="is 13 checkpoints: name med-r1/VQA_CT, med-r1/VQA_MRI"):
        locate("med-r1")


class Repository(BaseHTTPRequestHandler):
    """A repository of two checkpoints in folders, as the hub serves it; `asked` are its paths."""

    folders = ("VQA_CT", "VQA_MRI")
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        found = self._found()
        self.send_response(200 if found is not None else 404)
        body = found or b""
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _found(self) -> bytes | None:
        path = self.path.partition("?")[0]
        if "/tree/" in path:
            tree = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(body),
                    "oid": hashlib.sha1(body).hexdigest(),
                }
                for name, body in self.files.items()
            ]
            return json.dumps(tree).encode()
        if path.startswith("/api/models/"):
            names = [{"rfilename": name} for name in self.files]
            told = {"id": "yuxianglai117/Med-R1", "sha": "0" * 40, "siblings": names}
            return json.dumps(told).encode()
        name = path.partition("/resolve/")[2].partition("/")[2]
        self.asked.append(name)
        return self.files.get(name)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_of_several_checkpoints_only_the_one_is_downloaded(tmp_path: Path) -> None:
    whole = locate("tiny-digits").folder
    Repository.files = {
        f"{folder}/{path.name}": path.read_bytes()
        for folder in Repository.folders
        for path in whole.iterdir()
    }
    Repository.asked.clear()
    code = (
        "from extract.models.sources import locate, locate_processor\n"
        "asked = locate_processor('med-r1/VQA_CT')\n"
        "print(sorted(path.name for path in asked.folder.glob('*.safetensors')))\n"
        "found = locate('yuxianglai117/Med-R1/vqa_ct')\n"
        "print(found.name, sorted(path.name for path in found.folder.parent.iterdir()))"
    )
    server = HTTPServer(("127.0.0.1", 0), Repository)
    Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    server.shutdown()
    assert done.stdout.splitlines() == ["[]", "med-r1/VQA_CT ['VQA_CT']"], done.stderr
    assert {name.partition("/")[0] for name in Repository.asked} == {"VQA_CT"}
    assert "VQA_CT/model.safetensors" in Repository.asked


def test_a_repository_with_its_checkpoints_in_folders_names_them(tmp_path: Path) -> None:
    for name in ("VQA_CT", "VQA_MRI"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    with pytest.raises(LayerhouseError, match="its folders VQA_CT, VQA_MRI have: give one"):
        locate(str(tmp_path))
