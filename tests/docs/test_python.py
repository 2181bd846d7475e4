"""The page on Python: its examples run, one after the other, as a reader would run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import layerhouse
from tests.conftest import Demo

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def _images(folder: Path) -> None:
    for label, shade in (("dark", 40), ("light", 200)):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            image = Image.new("RGB", (32, 32), (shade + number, shade, shade))
            image.save(folder / label / f"{number}.png")


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(whole_demo: Demo, tmp_path: Path) -> None:
    shutil.copytree(whole_demo.lake.root, tmp_path / "lakehouse")
    shutil.copytree(ROOT / "extract" / "models" / "tiny-digits", tmp_path / "my-llava")
    _images(tmp_path / "images")
    (tmp_path / "page.py").write_text("\n".join(EXAMPLES), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("vision_quality ")
    with layerhouse.connect(tmp_path / "lakehouse") as wh:
        made = wh.sql(
            "SELECT model_id FROM answer WHERE dataset_id = 'images' UNION ALL "
            "SELECT 'no more ' || model_id FROM removed_run ORDER BY ALL"
        ).fetchall()
    assert set(made) == {("my-llava",), ("no more my-llava-dimmed",)}


def test_the_page_names_every_public_function() -> None:
    for name in layerhouse.__all__:
        if name != "__version__":
            assert re.search(rf"\b{name}\b", PAGE), name
    for module in (layerhouse.datasets, layerhouse.models, layerhouse.runs):
        for name in module.__all__:
            assert f"`{module.__name__.removeprefix('layerhouse.')}.{name}(" in PAGE, name
