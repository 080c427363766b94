"""Render a page as one self-contained HTML file."""

import functools
import re
from collections.abc import Iterator
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from loptbench.reports.page.elements import Page, Table
from loptbench.reports.page.numbers import exact_text, number_text
from loptbench.reports.plots.styles import colours

LONG_TEXT = 40
"""Number of characters above which a cell gets a minimum width."""


def html(page: Page) -> str:
    """The page as one self-contained HTML file; the same page gives the same bytes."""
    style = f"{colours()}\n{_file('style.css')}"
    return _template().render(page=page, style=style, script=_file("script.js"))


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_file),
    )
    environment.filters["rows"] = _rows
    environment.filters["css"] = _css
    return environment.get_template("page.html")


def _css(text: str) -> str:
    r"""A text inside the quotes of a selector.

    >>> _css('a"b')
    'a\\22 b'
    """
    return re.sub(r"[^\w-]", lambda match: f"\\{ord(match[0]):x} ", text)


def _rows(table: Table) -> Iterator[Markup]:
    """The rows of a table.

    The template does not write them: there are tens of thousands of cells, and Jinja takes ten
    times as long for each.
    """
    columns = [_cells(table, i) for i in range(len(table.frame.columns))]
    for cells in zip(*columns, strict=True):
        yield Markup(f"<tr>{''.join(cells)}</tr>")


def _cells(table: Table, place: int) -> Iterator[str]:
    """The cells of one column."""
    heads_row = place < table.n_heads
    opening, closing = ('th scope="row"', "th") if heads_row else ("td", "td")
    name = table.frame.columns[place]
    marks = (table.marks(marks, name) for marks in (table.status, table.note, table.link))
    for value, status, note, link in zip(table.frame.iloc[:, place].tolist(), *marks, strict=True):
        shown, exact = number_text(value), exact_text(value)
        is_number = not isinstance(value, str)
        classes = ["n"] if is_number else ["long"] if len(shown) > LONG_TEXT else []
        if status:
            classes.append(status.replace(" ", "-"))
        attributes = f' class="{escape(" ".join(classes))}"' if classes else ""
        attributes += f' data-v="{exact}"' if exact else ""
        content = shown if is_number else str(escape(shown))
        if heads_row and not content:
            content = "–"  # a heading needs a text
        if link:
            content = f'<a href="{escape(link)}">{content}</a>'
        sign = '<span class="sign" aria-hidden="true"></span>' if status else ""
        small = f"<small>{escape(note)}</small>" if note else ""
        yield f"<{opening}{attributes}>{sign}{content}{small}</{closing}>"


def _file(name: str) -> str:
    return (resources.files("loptbench.reports.page") / name).read_text()
