"""Headless Chromium that looks at a page as a person would."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

WIDTH = 1500
PATIENCE = 180
"""Seconds that a page may take."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


# In one step: between two, a page may exchange its elements.
TEXTS = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"


@contextmanager
def chromium() -> Iterator[WebDriver]:
    """A browser with a profile of its own. Raises RuntimeError where Chromium is not installed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        raise RuntimeError("no Chromium for the screenshot: apt-get install chromium-driver")
    with tempfile.TemporaryDirectory(prefix="layerhouse-chromium-") as profile:
        options = Options()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDTH},1200"):
            options.add_argument(flag)
        page = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield page
        finally:
            page.quit()


def until(page: WebDriver, condition: Callable[[WebDriver], object]) -> None:
    WebDriverWait(page, PATIENCE).until(condition)


def find(page: WebDriver, selector: str) -> list[str]:
    """The texts of all elements that a CSS selector names."""
    return list(page.execute_script(TEXTS, selector))


def shoot(page: WebDriver, content: str, waiting: str, out: Path) -> None:
    """Write the page as PNG, down to the end of the element `content`, with nothing `waiting`."""
    bottom = f"return Math.ceil(document.querySelector({content!r}).getBoundingClientRect().bottom)"
    # Dashboards draw what is in view, so the view is made as high as the page; drawing it may make
    # it higher.
    for _ in range(2):
        view = {"width": WIDTH, "height": page.execute_script(bottom) + 24}
        view |= {"deviceScaleFactor": 1, "mobile": False}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        until(page, lambda page: not find(page, waiting))
        time.sleep(3)  # for the lines' animation, which nothing announces the end of
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save_screenshot(str(out))
