"""Other pages than the report of a store, and the choice of a size, in a real browser."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")
pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("playwright", reason="the browser extra is not installed")
pytest.importorskip("axe_playwright_python", reason="the browser extra is not installed")

import pandas
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext

from loptbench.comparison.stores import compare
from loptbench.reports.page import comparison as two_stores
from loptbench.reports.page.elements import (
    Data,
    Figure,
    Group,
    Mark,
    Matrix,
    Panel,
    Part,
    Prose,
    Row,
    Section,
)
from loptbench.reports.page.elements import Page as Contents
from loptbench.reports.page.render import html
from loptbench.reports.page.session import render as render_session
from loptbench.results.session import Failure, Session, Test, TestedImplementation
from loptbench.results.store import Store
from loptbench.tests.reports.test_browser import open_all


def test_the_page_shows_one_size_at_a_time(context: BrowserContext, tmp_path: Path) -> None:
    sizes = ("quick", 'odd "size"')
    marks = [[Mark("reproduced", "8/8", "words", size) for size in sizes]]
    words = Prose({size: f"words on {size}" for size in sizes})
    frame = pandas.DataFrame({"name": ["a", "b"], "preset": sizes, "value": [1.0, -0.5]})
    lines = {size: f'<path id="line-{i}" d="M0 0h9"/>' for i, size in enumerate(sizes)}
    panel = Panel("panel", '<svg width="9" height="9"></svg>', lines)
    rows = [Row("row", [panel])]
    figure = Figure("f", "Figure", "words", "caption", rows, [], pandas.DataFrame(), "command")
    parts: list[Part] = [words, figure, Matrix("m", "caption", ["task"], [("claim", "#m", marks)])]
    section = Section("s", "Section", [*parts, Data("d", "Rows", "caption", frame)])
    file = tmp_path / "page.html"
    file.write_text(html(Contents("Title", "lead", [Group("", [section])], sizes=sizes)))
    page = context.new_page()
    page.goto(file.as_uri())
    open_all(page)
    for chosen, other in (sizes, sizes[::-1], sizes):
        page.get_by_role("button", name=chosen).click()
        assert page.locator(f"#line-{sizes.index(chosen)}").count() == 1
        assert page.locator(f"#line-{sizes.index(other)}").count() == 0
        assert page.get_by_text(f"words on {chosen}").is_visible()
        assert not page.get_by_text(f"words on {other}").is_visible()
        large, small = (
            page.locator(".mark").nth(sizes.index(size)).bounding_box() for size in (chosen, other)
        )
        assert large is not None
        assert small is not None
        assert large["width"] > small["width"] > 0
        assert page.locator("#d tbody tr:visible").count() == 1


@pytest.fixture(scope="module")
def other_pages(full_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The comparison of two stores that differ, and a test session with every kind of outcome."""
    folder = tmp_path_factory.mktemp("other_pages")
    shutil.copytree(full_store, folder / "changed")
    verdicts = json.loads((full_store / "verdicts.json").read_text())
    for verdict in verdicts["verdicts"]:
        verdict["outcome"] = "reproduced" if verdict["outcome"] != "reproduced" else "inconclusive"
    (folder / "changed" / "verdicts.json").write_text(json.dumps(verdicts))
    compared = compare(Store.open(full_store), Store.open(folder / "changed"))
    statuses = ("passed", "failed", "skipped", "not run")
    session = Session(
        checks=[
            {
                **{
                    "implementation": "mine:Mine",
                    "level": 1,
                    "task": "quadratic",
                    "dtype": "float64",
                },
                **{"optimizer": "sgd", "check": f"check-{i}", "status": status, "ratio": 0.5},
                "message": "why",
            }
            for i, status in enumerate(statuses)
        ],
        tests=[Test("a.py::test_one", "passed"), Test("a.py::test_two", "skipped", "no time")],
        failures=[Failure("a.py::test_three", "failed", "it broke", "Traceback")],
        implementations=[TestedImplementation("torch", "not installed", "there", "needs 'torch'")],
    )
    pages = {"compare": two_stores.render(compared), "session": render_session(session)}
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return {name: folder / f"{name}.html" for name in pages}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compare", "session"])
def test_the_other_pages_are_as_sound(
    context: BrowserContext, other_pages: dict[str, Path], name: str
) -> None:
    console: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.goto(other_pages[name].as_uri())
    open_all(page)
    for theme in ("Light", "Dark"):
        page.get_by_role("button", name=theme).click()
        axe_result = Axe().run(page)
        assert axe_result.violations_count == 0, axe_result.generate_report()
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert console == []
