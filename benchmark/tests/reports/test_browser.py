"""The report in a real browser: Debian's chromium, driven by Playwright."""

import csv
import io
import json
import re
import shutil
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")
pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("playwright", reason="the browser extra is not installed")
pytest.importorskip("axe_playwright_python", reason="the browser extra is not installed")

import pandas
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from loptbench.comparison.stores import compare
from loptbench.reports.page import comparison as two_stores
from loptbench.reports.page.elements import Data, Group, Mark, Matrix, Prose, Section
from loptbench.reports.page.elements import Page as Contents
from loptbench.reports.page.picture import BROWSERS, find_browser
from loptbench.reports.page.render import html
from loptbench.reports.page.session import render as render_session
from loptbench.reports.page.store import render
from loptbench.results.session import Failure, Session, Test, TestedImplementation
from loptbench.results.store import Store

TABLE = "#evaluations-table"
MEAN = "objective mean"
BUILT = "document.querySelectorAll('details.data:not(.built)').length === 0"
OPEN_ALL = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"
FOCUSABLE = "a[href], button, input, summary, [tabindex='0']"


def open_all(page: Page) -> None:
    """Unfold everything, and wait until the long tables are there."""
    page.evaluate(OPEN_ALL)
    page.wait_for_function(BUILT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        pytest.skip(f"no browser is here: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work in a container, and the page is our own.
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(full_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(Store.open(full_store)))
    return path


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    browser_context = browser.new_context(
        accept_downloads=True, viewport={"width": 1280, "height": 900}
    )
    browser_context.set_default_timeout(20_000)
    yield browser_context
    browser_context.close()


@pytest.fixture
def page(context: BrowserContext, file: Path) -> Iterator[Page]:
    """The report, unfolded. The console must stay empty, and no other file may be fetched."""
    console: list[str] = []
    fetched: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(file.as_uri())
    open_all(page)
    yield page
    assert console == []
    assert {url for url in fetched if not url.startswith(("blob:", "data:"))} == {file.as_uri()}


def column(page: Page, name: str, table: str = TABLE) -> list[str]:
    """The texts of a column in the visible rows, from top to bottom."""
    heads = page.locator(f"{table} thead th").all_inner_texts()
    place = [head.split("\n")[0].strip() for head in heads].index(name) + 1
    cells = page.locator(f"{table} tbody tr:not([hidden]) > :nth-child({place})")
    return [cell.split("\n")[0].strip() for cell in cells.all_inner_texts()]


def numbers(words: list[str]) -> list[float]:
    return [float("inf") if word == "∞" else float(word) for word in words]


def heading(page: Page, name: str) -> Any:
    return page.locator(f"{TABLE} thead").get_by_role("button", name=name, exact=True)


def test_tables_sort_by_number_and_say_so(page: Page) -> None:
    before = numbers(column(page, MEAN))
    assert before != sorted(before)
    heading(page, MEAN).click()
    assert numbers(column(page, MEAN)) == sorted(before)
    head = page.locator(f"{TABLE} thead th", has_text=MEAN)
    assert head.get_attribute("aria-sort") == "ascending"
    heading(page, MEAN).click()
    assert numbers(column(page, MEAN)) == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    heading(page, MEAN).click()
    assert numbers(column(page, MEAN)) == before
    assert head.get_attribute("aria-sort") is None


def test_what_is_missing_stands_last_in_either_order(page: Page) -> None:
    values = "#mechanisms-table"
    words = column(page, "value", values)
    assert "–" in words
    button = page.locator(f"{values} thead").get_by_role("button", name="value", exact=True)
    for _ in range(2):
        button.click()
        words = column(page, "value", values)
        missing = [word == "–" for word in words]
        assert missing == sorted(missing)


def test_tables_work_by_keyboard(page: Page) -> None:
    before = numbers(column(page, MEAN))
    heading(page, MEAN).focus()
    page.keyboard.press("Enter")
    assert numbers(column(page, MEAN)) == sorted(before)
    page.keyboard.press("Space")
    assert numbers(column(page, MEAN)) == sorted(before, reverse=True)
    page.locator(f"{TABLE} input").focus()
    page.keyboard.type("adam")
    assert set(column(page, "optimizer")) == {"adam"}


def test_sorting_and_filters_are_in_the_address(page: Page, file: Path) -> None:
    heading(page, MEAN).click()
    n_rows = len(column(page, "optimizer"))
    page.locator(f"{TABLE} input").fill("rosen mo")
    shown = column(page, "optimizer")
    assert 0 < len(shown) < 5
    assert page.locator(f"{TABLE} .count").inner_text() == f"{len(shown)} of {n_rows} rows"
    address = page.url
    page.get_by_role("navigation").get_by_role("link", name="Momentum").click()
    page.wait_for_url(lambda url: "#subject-momentum&" in url)  # the script adds what is shown
    assert column(page, "optimizer") == shown
    page.goto("about:blank")
    page.goto(address)
    open_all(page)
    assert column(page, "optimizer") == shown
    assert page.locator(f"{TABLE} input").input_value() == "rosen mo"
    page.locator(f"{TABLE} input").fill("")
    heading(page, MEAN).click()
    heading(page, MEAN).click()
    assert page.url == file.as_uri()


def test_a_strange_address_does_no_harm(page: Page, file: Path) -> None:
    strange = "#%ZZ&evaluations-table.sort=99%2B&nothing.filter=x&=&theme=%3Cb%3E"
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}{strange}")
    open_all(page)
    assert len(column(page, "optimizer")) > 20


@pytest.mark.parametrize("address", ["#checks-table", "#checks-table.sort=3%2B", "#claim-momentum"])
def test_links_lead_to_what_is_folded(page: Page, file: Path, address: str) -> None:
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}{address}")
    target = page.locator(address.split(".sort")[0])
    assert target.is_visible()
    if "table" in address:
        assert target.locator("tbody tr").count() > 10
    box = target.bounding_box()
    assert box is not None
    assert -60 <= box["y"] < 900


def download(page: Page, button: Any) -> tuple[str, str]:
    with page.expect_download() as download_info:
        button.click()
    return download_info.value.suggested_filename, Path(download_info.value.path()).read_text()


def test_tables_download_as_csv(page: Page) -> None:
    heading(page, MEAN).click()
    name, text = download(page, page.locator(f"{TABLE} button", has_text="CSV"))
    assert name == "evaluations-table.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["optimizer"] for row in rows] == column(page, "optimizer")
    exact = [float(row["objective_mean"]) for row in rows]
    shown = numbers(column(page, MEAN))
    assert exact == pytest.approx(shown, rel=1e-3)
    assert exact != shown  # with all digits
    for row in rows:  # numbers, not prose
        assert all(not row[name] or float(row[name]) >= 0 for name in ("ratio", "low", "high"))


def test_tables_download_as_latex(page: Page) -> None:
    name, text = download(page, page.locator(f"{TABLE} button", has_text="LaTeX"))
    assert name == "evaluations-table.tex"
    assert text.count("\\begin{tabular}{") == text.count("\\end{tabular}") == 1
    rows = [line for line in text.splitlines() if line.endswith(" \\\\")]
    assert len(rows) == 1 + len(column(page, "optimizer"))
    assert len({row.count(" & ") for row in rows}) == 1
    assert "$\\infty$" in text
    _, text = download(page, page.locator("#tuning-table button", has_text="LaTeX"))
    assert "two\\_moons" in text
    assert "\\%" in text


def test_figures_download_as_svg(page: Page) -> None:
    name, text = download(page, page.locator("#figure-momentum button.save.svg"))
    assert name == "figure-momentum.svg"
    root = xml.etree.ElementTree.fromstring(text.encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    panels = page.locator("#figure-momentum .panel").count()
    keys = page.locator("#figure-momentum .legend svg").count()
    assert keys > 2
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == panels + keys
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"learned", "quadratic"} <= words
    assert "#0173b2" in text  # outside the page, the colours of light pages


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_theme_is_the_systems_or_the_readers(page: Page) -> None:
    white, dark = "rgb(255, 255, 255)", "rgb(16, 21, 27)"
    page.emulate_media(color_scheme="dark")
    assert background(page) == dark
    line = "#figure-momentum .legend svg path[stroke*='0173b2']"
    stroke = f'getComputedStyle(document.querySelector("{line}")).stroke'
    assert page.evaluate(stroke) == "rgb(86, 180, 233)"
    page.get_by_role("button", name="Light").click()
    assert background(page) == white
    assert page.evaluate(stroke) == "rgb(1, 115, 178)"
    assert "theme=light" in page.url
    page.reload()
    assert background(page) == white
    page.get_by_role("button", name="System").click()
    assert background(page) == dark
    page.emulate_media(color_scheme="light")
    assert background(page) == white
    page.get_by_role("button", name="Dark").click()
    assert background(page) == dark


def test_print_is_the_page_without_its_tools(page: Page) -> None:
    page.get_by_role("button", name="Dark").click()
    page.emulate_media(media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert not page.get_by_role("navigation").is_visible()
    assert not page.locator(f"{TABLE} .tools").is_visible()
    assert page.locator("table#verdict-matrix").is_visible()
    assert not page.locator(f"{TABLE}").is_visible()
    page.evaluate(OPEN_ALL.replace("true", "false"))
    pdf = page.pdf(prefer_css_page_size=True)
    assert 2 < len(re.findall(rb"/Type\s*/Page[^s]", pdf)) <= 20
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 upright, less its margins
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


@pytest.mark.parametrize("width", [320, 360, 720, 1280])
def test_nothing_scrolls_sideways(page: Page, width: int) -> None:
    """At 320 px, as on a phone or a page of 1280 px at 400 %; 640 is 1280 at 200 %."""
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = page.locator("#curves .panel svg text").first
    size = words.evaluate("(text) => text.getBoundingClientRect().height")
    assert size > 8
    matrix = page.locator("#verdict-matrix")
    assert matrix.evaluate("(table) => table.scrollWidth") <= width


def test_the_first_screen_has_figures_and_verdicts(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
    for first in ("#curves svg", "#verdict-matrix"):
        box = page.locator(first).first.bounding_box()
        assert box is not None
        assert box["y"] < 900
    visible = (
        f'[...document.querySelectorAll("{FOCUSABLE}")].filter((one) => one.checkVisibility())'
    )
    assert page.evaluate(f"{visible}.length") < 300


def test_the_keyboard_can_skip_the_navigation(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_a_seed_is_highlighted_in_every_figure_and_named(page: Page) -> None:
    mark = page.locator("#seeds-momentum [data-seed]").first
    mark.dispatch_event("mouseover")
    assert page.locator("#hint").inner_text() == mark.get_attribute("data-seed")
    figures = page.locator("figure:has(.on)")
    assert figures.count() > 4
    page.locator("h1").dispatch_event("mouseover")
    assert page.locator(".on").count() == 0
    assert page.locator("#hint").is_hidden()


def test_an_entry_of_a_legend_hides_its_series(page: Page) -> None:
    line = page.locator("#figure-momentum .panel [data-series='sgd']").first
    assert line.is_visible()
    page.locator("#figure-momentum .legend").get_by_role("button", name="sgd").click()
    assert line.evaluate("(node) => getComputedStyle(node).visibility") == "hidden"
    page.locator("#figure-momentum .legend").get_by_role("button", name="sgd").click()
    assert line.evaluate("(node) => getComputedStyle(node).visibility") == "visible"


def test_the_page_shows_one_size_at_a_time(context: BrowserContext, tmp_path: Path) -> None:
    sizes = ("quick", 'odd "size"')
    marks = [[Mark("reproduced", "8/8", "words", size) for size in sizes]]
    words = Prose({size: f"words on {size}" for size in sizes})
    frame = pandas.DataFrame({"name": ["a", "b"], "preset": sizes, "value": [1.0, -0.5]})
    parts = [words, Matrix("m", "caption", ["task"], [("claim", "#m", marks)])]
    section = Section("s", "Section", [*parts, Data("d", "Rows", "caption", frame)])
    file = tmp_path / "page.html"
    file.write_text(html(Contents("Title", "lead", [Group("", [section])], sizes=sizes)))
    page = context.new_page()
    page.goto(file.as_uri())
    open_all(page)
    for chosen, other in (sizes, sizes[::-1]):
        page.get_by_role("button", name=chosen).click()
        assert page.get_by_text(f"words on {chosen}").is_visible()
        assert not page.get_by_text(f"words on {other}").is_visible()
        large, small = (
            page.locator(".mark").nth(sizes.index(size)).bounding_box() for size in (chosen, other)
        )
        assert large is not None
        assert small is not None
        assert large["width"] > small["width"] > 0
        assert page.locator("#d tbody tr:visible").count() == 1


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, theme: str) -> None:
    page.get_by_role("button", name=theme.capitalize()).click()
    axe_result = Axe().run(page)
    assert axe_result.response["passes"]
    assert axe_result.violations_count == 0, axe_result.generate_report()


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


def test_without_scripts_the_page_is_whole(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#verdict-matrix tbody tr").count() > 10
    assert page.locator("button").count() == 0
    context.close()
