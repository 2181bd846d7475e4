"""What tests of several packages share: the demo, run once, real medical images, a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.packages import Install, installing
from warehouse.lake.lake import Lake

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach the network; read when the hub is imported
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # speed is measured in bench/, never asserted

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Finished:
    """One finished command: what it printed and how it ended."""

    code: int
    out: str
    err: str


def layerhouse(*arguments: str, cwd: Path, timeout: float = 300) -> Finished:
    """Run the installed command as a user would, in a process of its own."""
    return _finished([sys.executable, "-m", "layerhouse", *arguments], cwd, timeout)


def _finished(command: list[str], cwd: Path, timeout: float) -> Finished:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """The finished demo: its lake, its report and what it printed."""

    lake: Lake
    report: Path
    printed: str


SHORT_FAULTS = (None, "swap@connector:0.5")
SHORT_DEMO = f"""
from layerhouse import demo
from layerhouse.cli import main
demo.FAULTS, demo.BASELINES = {SHORT_FAULTS}, ("pixels-logistic",)
main(["demo"])
"""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """`layerhouse demo` with two of its models, for all tests that read a real lake. Readers only.

    What is asked of all five models is slow: `whole_demo`.
    """
    return _demo_at(_shared(tmp_path_factory, worker_id, "demo"), "-c", SHORT_DEMO)


@pytest.fixture(scope="session")
def whole_demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """`layerhouse demo` as it is."""
    return _demo_at(_shared(tmp_path_factory, worker_id, "whole-demo"), "-m", "layerhouse", "demo")


def _shared(factory: pytest.TempPathFactory, worker_id: str, name: str) -> Path:
    """A folder that the processes which share the tests share."""
    base = factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / f"shared-{name}"


def _demo_at(folder: Path, *words: str) -> Demo:
    """Run once: the first process that asks for it runs it, the others wait."""
    printed = folder / "printed.txt"
    with FileLock(f"{folder}.lock"):
        if not printed.exists():
            folder.mkdir(exist_ok=True)
            done = _finished([sys.executable, *words], folder, timeout=900)
            assert done.code == 0, done.err
            printed.write_text(done.out, encoding="utf-8")
    text = printed.read_text(encoding="utf-8")
    return Demo(Lake.at(folder / "lakehouse"), folder / "report.html", text)


def real_dataset(name: str) -> Path:
    """The folder of a real medical image set, or skip with the reason."""
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real images of {name} are not on this machine (looked in {folder})")
    return folder


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Installs packages with entry points for the length of a test."""
    with pytest.MonkeyPatch.context() as patch, installing(tmp_path / "site", patch) as install:
        yield install


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium, or skip with the reason."""
    if CHROMIUM is None:
        pytest.skip("no Chromium to open pages with: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to drive it with")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Call it with a width and a scheme; gives a blank page, what it says and what it asks for."""
    contexts = []

    def opened(
        width: int = 1280, scheme: str = "light", **options: Any
    ) -> tuple[Any, list[str], list[str]]:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        return page, said, asked

    yield opened
    for context in contexts:
        context.close()
