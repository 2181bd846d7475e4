from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.datasets import add
from warehouse.lake.lake import Lake


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes that any model can be taught: dark pictures and bright ones."""
    folder = tmp_path_factory.mktemp("shades")
    random = np.random.default_rng(0)
    for index in range(40):
        low = 20 + 150 * (index % 2)
        pixels = random.integers(low, low + 60, (56, 56, 3), dtype=np.uint8)
        path = folder / ("benign", "malignant")[index % 2] / f"{index:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def shades_lake(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = Lake.at(tmp_path_factory.mktemp("lake"))
    add(lake, "shades", shades)
    return lake.root


@pytest.fixture
def lake(shades_lake: Path, tmp_path: Path) -> Lake:
    shutil.copytree(shades_lake, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")
