"""Small lakes and models for the tests of extraction."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from extract.datasets import add
from tests.extract.sessions import Opened, opened
from tests.extract.tiny_families import save_family
from warehouse.catalogue.refreshing import refresh
from warehouse.lake.lake import Lake

transformers.logging.set_verbosity_error()
torch.set_num_threads(
    1
)  # models this small gain nothing from more, and lose much on a busy machine
SIZES = ((100, 80), (64, 90))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Transformers' hints are no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of classes: twelve smooth pictures of two sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(12):
        coarse = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        path = folder / ("benign", "malignant")[index % 2] / f"{index:02}.png"
        path.parent.mkdir(exist_ok=True)
        size = SIZES[index // 2 % 2]
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(scope="session")
def registered_lake(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = Lake.at(tmp_path_factory.mktemp("registered"))
    add(lake, "pictures", pictures)
    refresh(lake)
    return lake.root


@pytest.fixture
def lake(registered_lake: Path, tmp_path: Path) -> Lake:
    """A lake of its own for one test, with the dataset `pictures` registered."""
    shutil.copytree(registered_lake, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> FamilyFolders:
    return FamilyFolders(tmp_path_factory.mktemp("families"))


class FamilyFolders:
    """Model folders of tiny families, each built when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: str) -> Path:
        folder = self.root / name
        if not folder.exists():
            save_family(name, folder)
        return folder


@pytest.fixture(scope="session")
def llava_folder(family_folder: FamilyFolders) -> Path:
    return family_folder("llava")


@pytest.fixture(scope="session")
def llava(llava_folder: Path) -> Opened:
    """A tiny LLaVA after its self-check, for tests that need no agent."""
    return opened(llava_folder)
