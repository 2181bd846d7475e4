"""Image files from a stranger: a closed list of formats, and files only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from warehouse.errors import LayerhouseError
from warehouse.images import open_image

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\nshowpage\n"


@pytest.mark.parametrize("name", ["a.eps", "a.png", "a.jpg"])
def test_postscript_is_no_image(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would start Ghostscript on it, whatever its name is."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(LayerhouseError, match=r"a\.\w+ cannot be decoded as an image"):
        open_image(str(path))


def test_a_pipe_or_a_device_is_no_image_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name in ("a.png", "b.png"):
        with pytest.raises(LayerhouseError, match="it is no file"):
            open_image(str(tmp_path / name))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA"])
def test_what_people_have_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    Image.new("RGB", (8, 6), (255, 0, 0)).save(path, format=kind)
    assert open_image(str(path)).size == (8, 6)
