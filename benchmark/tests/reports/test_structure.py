"""How much is in the report at the start, and what its tables let save."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.reports.page.elements import Data, Figure, Group, Panel, Prose, Row, Section
from loptbench.reports.page.elements import Page as Contents
from loptbench.reports.page.render import html
from loptbench.tests.reports.pages import Page


@pytest.fixture
def draw() -> Callable[[Sequence[str]], str]:
    """Makes a page with a text and a figure that have something for each size."""

    def drawn(sizes: Sequence[str]) -> str:
        lines = dict.fromkeys(sizes, '<path d="M0 0"/>' * 7)
        panel = Panel("panel", "<svg><rect/></svg>", lines, {size: f"of {size}" for size in sizes})
        rows = [Row("row", [panel])]
        figure = Figure("f", "Figure", "words", "caption", rows, [], pd.DataFrame(), "command")
        section = Section("s", "Section", [Prose({size: f"on {size}" for size in sizes}), figure])
        return html(Contents("Title", "lead", [Group("", [section])], sizes=sizes))

    return drawn


def test_the_page_is_light(full_page: Path) -> None:
    """The elements that are there before the reader opens a table."""
    parsed = Page(full_page.read_text())
    assert len(parsed.tags) < 15_000
    assert parsed.tags.count("a") < 200
    assert parsed.tags.count("table") < 20
    assert parsed.tags.index("svg") < parsed.tags.index("details")


def test_other_sizes_add_no_element(draw: Callable[[Sequence[str]], str]) -> None:
    one, three = (Page(draw(sizes)) for sizes in (["quick"], ["quick", "standard", "paper"]))
    assert len(three.tags) == len(one.tags)
    assert len(three.html) > len(one.html) + 100


def test_long_tables_are_numbers(full_page: Path) -> None:
    data = Page(full_page.read_text()).data
    for name in ("evaluations-table", "seeds-table", "mechanisms-table", "checks-table"):
        table = pd.read_csv(io.StringIO(data[name]))
        assert len(table) > 1
        texts = table.select_dtypes(exclude="number").stack()
        assert not texts.astype(str).str.match(r"[=+@-]").any()
    evaluations = pd.read_csv(io.StringIO(data["evaluations-table"]))
    assert evaluations.objective_mean.dtype == float


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@name", "\ttab"])
def test_no_cell_is_a_formula(word: str) -> None:
    frame = pd.DataFrame({"name": [word, "a, b"], word: [-1.5, 2.0]})
    csv = Data("d", "Rows", "caption", frame).csv()
    assert csv.splitlines()[0] == f"name,'{word}"
    assert pd.read_csv(io.StringIO(csv)).name.tolist() == [f"'{word}", "a, b"]
    assert pd.read_csv(io.StringIO(csv)).iloc[:, 1].tolist() == [-1.5, 2.0]
