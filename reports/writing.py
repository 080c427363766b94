"""Pages in, HTML out: one self-contained file each."""

import functools
from collections.abc import Sequence
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from loptbench.reports.elements import Cell, Page
from loptbench.reports.looks import colours


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
    environment.filters["as_row"] = _row
    return environment.get_template("page.html")


def _row(cells: Sequence[Cell], n_heads: int) -> Markup:
    """A row of a table.

    Not in the template, as all else is: there are tens of thousands of cells, and Jinja takes ten
    times as long for each.
    """
    parts = []
    for i, cell in enumerate(cells):
        opening, closing = ('th scope="row"', "th") if i < n_heads else ("td", "td")
        shown, css, exact = escape(cell.shown), escape(cell.css), escape(cell.sorts)
        if cell.href:
            shown = Markup('<a href="{}">{}</a>').format(cell.href, cell.shown)
        sign = '<span class="sign" aria-hidden="true"></span>' if cell.status else ""
        note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
        attributes = (f' class="{css}"' if css else "") + (f' data-v="{exact}"' if exact else "")
        parts.append(f"<{opening}{attributes}>{sign}{shown}{note}</{closing}>")
    return Markup(f"<tr>{''.join(parts)}</tr>")


def _file(name: str) -> str:
    return (resources.files("loptbench.reports") / name).read_text()
