"""Fixtures of tests in a real browser: Debian's chromium, driven by Playwright."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    from loptbench.reports.page.picture import BROWSERS, find_browser

    executable = find_browser()
    if executable is None:
        pytest.skip(f"no browser is here: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work in a container, and the page is our own.
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: "Browser") -> "Iterator[BrowserContext]":
    browser_context = browser.new_context(
        accept_downloads=True, viewport={"width": 1280, "height": 900}
    )
    browser_context.set_default_timeout(20_000)
    yield browser_context
    browser_context.close()
