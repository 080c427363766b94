"""The page of the full store, and a real browser: Debian's chromium, driven by Playwright."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from loptbench.results.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="session")
def full_page(full_store: Path) -> Path:
    """The page of the full store. Do not change it.

    Drawing it takes seconds, so all tests that only read it share it, in all processes.
    """
    from loptbench.reports.page.store import render

    file = full_store.parent / "report.html"
    with FileLock(full_store.parent / "report.lock"):
        if not file.exists():
            file.write_text(render(Store.open(full_store)))
    return file


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
