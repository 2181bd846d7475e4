"""The dashboard in a browser: whether every chart is drawn, and a picture of it."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By

from bi import browser
from bi.superset.server import USER, Superset

CONTENT = ".grid-content"
WAITING = ".loading, [data-test='loading-indicator'], .dashboard-component-chart-holder .ant-spin"
ERRORS = "[data-test='alert'], .ant-alert-error, .error-message"
DRAWN = """return [...document.querySelectorAll('.slice_container')]
    .filter(chart => chart.querySelector('table, canvas')).length"""


def shoot(superset: Superset, slug: str, n_charts: int, out: Path) -> None:
    """Write the dashboard as PNG. Raises RuntimeError where a chart fails or is missing."""
    with browser.chromium() as page:
        _log_in(page, superset)
        page.get(f"{superset.url}/superset/dashboard/{slug}/?standalone=1")
        browser.until(page, lambda page: browser.find(page, CONTENT))
        browser.shoot(page, CONTENT, WAITING, out)
        for fault in browser.find(page, ERRORS):
            raise RuntimeError(f"the dashboard shows an error: {fault}")
        drawn = page.execute_script(DRAWN)
        if drawn != n_charts:
            raise RuntimeError(f"the dashboard draws {drawn} charts instead of {n_charts}")


def _log_in(page: WebDriver, superset: Superset) -> None:
    page.get(f"{superset.url}/login/")
    browser.until(page, lambda page: page.find_elements(By.ID, "username"))
    page.find_element(By.ID, "username").send_keys(USER)
    page.find_element(By.ID, "password").send_keys(superset.password)
    page.find_element(By.CSS_SELECTOR, "button[type=submit], input[type=submit]").click()
    browser.until(page, lambda page: "/login" not in page.current_url)
