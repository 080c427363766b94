"""The report in a real browser: Debian's chromium, driven by Playwright."""

import csv
import io
import re
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
from playwright.sync_api import Browser, BrowserContext, Page

TABLE = "#evaluations-table"
MEAN = "objective mean"
BUILT = "document.querySelectorAll('details.data:not(.built)').length === 0"
OPEN_ALL = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"
FOCUSABLE = "a[href], button, input, summary, [tabindex='0']"


def open_all(page: Page) -> None:
    """Unfold everything, and wait until the long tables are there."""
    page.evaluate(OPEN_ALL)
    page.wait_for_function(BUILT)


@pytest.fixture
def page(context: BrowserContext, full_page: Path) -> Iterator[Page]:
    """The report, unfolded. The console must stay empty, and no other file may be fetched."""
    console: list[str] = []
    fetched: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(full_page.as_uri())
    open_all(page)
    yield page
    assert console == []
    assert {url for url in fetched if not url.startswith(("blob:", "data:"))} == {
        full_page.as_uri()
    }


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
    assert "–" in column(page, "ratio")
    for _ in range(2):
        heading(page, "ratio").click()
        missing = [word == "–" for word in column(page, "ratio")]
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
    assert set(column(page, "optimizer")) == {"adam", "cosine_adam", "exponential_adam"}


def test_sorting_and_filters_are_in_the_address(page: Page, full_page: Path) -> None:
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
    assert page.url == full_page.as_uri()


def test_a_strange_address_does_no_harm(page: Page, full_page: Path) -> None:
    strange = "#%ZZ&evaluations-table.sort=99%2B&nothing.filter=x&=&theme=%3Cb%3E"
    page.goto("about:blank")
    page.goto(f"{full_page.as_uri()}{strange}")
    open_all(page)
    assert len(column(page, "optimizer")) > 20


@pytest.mark.parametrize("address", ["#checks-table", "#checks-table.sort=3%2B", "#claim-momentum"])
def test_links_lead_to_what_is_folded(page: Page, full_page: Path, address: str) -> None:
    page.goto("about:blank")
    page.goto(f"{full_page.as_uri()}{address}")
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
    page.locator(f"{TABLE} tbody tr").last.locator("td").last.evaluate(
        "cell => { cell.textContent = '∞'; }"
    )
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


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, theme: str) -> None:
    page.get_by_role("button", name=theme.capitalize()).click()
    axe_result = Axe().run(page)
    assert axe_result.response["passes"]
    assert axe_result.violations_count == 0, axe_result.generate_report()


def test_without_scripts_the_page_is_whole(browser: Browser, full_page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(full_page.as_uri())
    assert page.locator("#verdict-matrix tbody tr").count() > 10
    assert page.locator("button").count() == 0
    context.close()
