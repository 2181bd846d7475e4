"""What the hub answers becomes one sentence: a real client against a server on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from extract.models.registry import find
from extract.models.sources import locate, locate_processor
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


def test_a_checkpoint_in_a_subfolder_is_named_with_it() -> None:
    entry = find("Med-R1/vqa_ct")
    assert entry is not None
    assert (entry.name, entry.subfolder) == ("med-r1/VQA_CT", "VQA_CT")
    assert find("yuxianglai117/Med-R1/VQA_CT") == entry
    with pytest.raises(UsageError, match="is 13 checkpoints: name med-r1/VQA_CT, med-r1/VQA_MRI"):
        locate("med-r1")


@pytest.mark.parametrize("name", ["med-r1/VQA_CT", "yuxianglai117/Med-R1/VQA_CT"])
def test_of_several_checkpoints_only_the_one_is_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache as the hub's own client leaves it; what lies in other folders is not asked for."""
    asked: list[list[str]] = []

    def snapshot(repository: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert (repository, revision) == ("yuxianglai117/Med-R1", "main")
        asked.append(allow_patterns)
        shutil.copytree(locate("tiny-digits").folder, tmp_path / "VQA_CT", dirs_exist_ok=True)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    source = locate(name)
    assert source.folder == tmp_path / "VQA_CT"
    assert source.name == "med-r1/VQA_CT"
    assert all(pattern.startswith("VQA_CT/") for pattern in asked[0])
    assert "VQA_CT/*.safetensors" in asked[0]
    locate_processor(name)
    assert "VQA_CT/*.safetensors" not in asked[1]


def test_a_repository_with_its_checkpoints_in_folders_names_them(tmp_path: Path) -> None:
    for name in ("VQA_CT", "VQA_MRI"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    with pytest.raises(LayerhouseError, match="its folders VQA_CT, VQA_MRI have: give one"):
        locate(str(tmp_path))
