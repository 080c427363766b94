"""The report in a real browser: Debian's chromium, driven by Playwright."""

import csv
import io
import json
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

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from loptbench.comparison.stores import compare
from loptbench.reports.page import comparison as two_stores
from loptbench.reports.page.picture import BROWSERS, find_browser
from loptbench.reports.page.session import render as render_session
from loptbench.reports.page.store import render
from loptbench.results.session import Failure, Session, Test, TestedImplementation
from loptbench.results.store import Store

TABLE = "#numbers-rosenbrock"
OPEN_ALL = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"


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
    page.evaluate(OPEN_ALL)
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
    before = numbers(column(page, "mean meta-objective"))
    assert before != sorted(before)
    heading(page, "mean meta-objective").click()
    assert numbers(column(page, "mean meta-objective")) == sorted(before)
    head = page.locator(f"{TABLE} thead th", has_text="mean meta-objective")
    assert head.get_attribute("aria-sort") == "ascending"
    heading(page, "mean meta-objective").click()
    assert numbers(column(page, "mean meta-objective")) == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    heading(page, "mean meta-objective").click()
    assert numbers(column(page, "mean meta-objective")) == before
    assert head.get_attribute("aria-sort") is None


def test_what_is_missing_stands_last_in_either_order(page: Page) -> None:
    points = "#points-table"
    words = column(page, "momentum index", points)
    assert "–" in words
    button = page.locator(f"{points} thead").get_by_role("button", name="momentum index")
    for _ in range(2):
        button.click()
        words = column(page, "momentum index", points)
        missing = [word == "–" for word in words]
        assert missing == sorted(missing)


def test_tables_work_by_keyboard(page: Page) -> None:
    before = numbers(column(page, "mean meta-objective"))
    heading(page, "mean meta-objective").focus()
    page.keyboard.press("Enter")
    assert numbers(column(page, "mean meta-objective")) == sorted(before)
    page.keyboard.press("Space")
    assert numbers(column(page, "mean meta-objective")) == sorted(before, reverse=True)
    page.locator(f"{TABLE} input").focus()
    page.keyboard.type("adam")
    assert column(page, "optimizer") == ["adam"]


def test_sorting_and_filters_are_in_the_address(page: Page, file: Path) -> None:
    heading(page, "mean meta-objective").click()
    page.locator(f"{TABLE} input").fill("mo")
    shown = column(page, "optimizer")
    assert 0 < len(shown) < 5
    assert page.locator(f"{TABLE} .count").inner_text() == f"{len(shown)} of 5 rows"
    address = page.url
    page.get_by_role("navigation").get_by_role("link", name="rosenbrock").click()
    page.wait_for_url(lambda url: "#task-rosenbrock&" in url)  # the script adds what is shown
    assert column(page, "optimizer") == shown
    page.goto("about:blank")
    page.goto(address)
    page.evaluate(OPEN_ALL)
    assert column(page, "optimizer") == shown
    assert page.locator(f"{TABLE} input").input_value() == "mo"
    page.locator(f"{TABLE} input").fill("")
    heading(page, "mean meta-objective").click()
    heading(page, "mean meta-objective").click()
    assert page.url == file.as_uri()


def test_a_strange_address_does_no_harm(page: Page, file: Path) -> None:
    strange = "#%ZZ&numbers-rosenbrock.sort=99%2B&nothing.filter=x&=&theme=%3Cb%3E"
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}{strange}")
    page.evaluate(OPEN_ALL)
    assert len(column(page, "optimizer")) == 5


@pytest.mark.parametrize("address", ["#points-table", "#points-table.sort=3%2B"])
def test_links_lead_to_what_is_folded(page: Page, file: Path, address: str) -> None:
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}{address}")
    assert page.locator("#points-table table").is_visible()
    box = page.locator("#points-table").bounding_box()
    assert box is not None
    assert -5 <= box["y"] < 900


def download(page: Page, button: Any) -> tuple[str, str]:
    with page.expect_download() as download_info:
        button.click()
    return download_info.value.suggested_filename, Path(download_info.value.path()).read_text()


def test_tables_download_as_csv(page: Page) -> None:
    heading(page, "mean meta-objective").click()
    name, text = download(page, page.locator(f"{TABLE} button", has_text="CSV"))
    assert name == "numbers-rosenbrock.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["optimizer"] for row in rows] == column(page, "optimizer")
    exact = [float(row["objective_mean"]) for row in rows]
    shown = numbers(column(page, "mean meta-objective"))
    assert exact == pytest.approx(shown, rel=1e-3)
    assert exact != shown  # with all digits
    assert "alpha = " in rows[0]["hyperparameters"]


def test_notes_are_downloaded_too(page: Page) -> None:
    _, text = download(page, page.locator("#verdict-matrix button", has_text="CSV"))
    rows = list(csv.DictReader(io.StringIO(text)))
    shown = page.locator("#verdict-matrix tbody th small").all_inner_texts()
    assert [row["claim: note"] for row in rows] == shown
    assert shown[0] == "at most 1"


def test_tables_download_as_latex(page: Page) -> None:
    name, text = download(page, page.locator(f"{TABLE} button", has_text="LaTeX"))
    assert name == "numbers-rosenbrock.tex"
    assert text.count("\\begin{tabular}{") == text.count("\\end{tabular}") == 1
    rows = [line for line in text.splitlines() if line.endswith(" \\\\")]
    assert len(rows) == 6
    assert {row.count(" & ") for row in rows} == {10}
    assert "$\\infty$" in text
    _, text = download(page, page.locator("#tuning-table button", has_text="LaTeX"))
    assert "two\\_moons" in text
    assert "\\%" in text


def test_figures_download_as_svg(page: Page) -> None:
    name, text = download(page, page.locator("#figure-momentum button.svg"))
    assert name == "figure-momentum.svg"
    root = xml.etree.ElementTree.fromstring(text.encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    panels = page.locator("#figure-momentum .panel").count()
    keys = page.locator("#figure-momentum .legend svg").count()
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == panels + keys
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"learned", "quadratic: impulse response"} <= words
    assert "#0173b2" in text  # outside the page, the colours of light pages


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_theme_is_the_systems_or_the_readers(page: Page) -> None:
    white, dark = "rgb(255, 255, 255)", "rgb(16, 21, 27)"
    page.emulate_media(color_scheme="dark")
    assert background(page) == dark
    line = "#figure-momentum .legend svg path[style*='0173b2']"
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
    assert page.locator("#verdict-matrix table").is_visible()
    # The headings that are repeated on every printed page are texts, not buttons.
    assert not page.locator("#verdict-matrix thead button").first.is_visible()
    repeated_heading = (
        "getComputedStyle(document.querySelector('#verdict-matrix th'), '::before').content"
    )
    assert page.evaluate(repeated_heading) == '"claim"'
    assert len(page.pdf()) > 10_000
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 upright, less its margins
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_nothing_scrolls_sideways(page: Page, width: int) -> None:
    """At 320 px, as on a phone or a page of 1280 px at 400 %; 640 is 1280 at 200 %."""
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = page.locator("#curves-quadratic .panel svg text").first
    size = words.evaluate("(text) => text.getBoundingClientRect().height")
    assert size > 8


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
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html)
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
    page.evaluate(OPEN_ALL)
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
