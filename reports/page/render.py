"""Pages in, HTML out: one self-contained file each."""

import functools
from collections.abc import Sequence
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from loptbench.reports.page.elements import Cell, Page, Value, exact_value, spelled
from loptbench.reports.plots.styles import colours


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


def _row(row: Sequence[Value | Cell], n_heads: int) -> Markup:
    """A row of a table.

    Not in the template, as all else is: there are tens of thousands of cells, and Jinja takes ten
    times as long for each.
    """
    parts = []
    for i, one in enumerate(row):
        opening, closing = ('th scope="row"', "th") if i < n_heads else ("td", "td")
        if isinstance(one, float | int | None):  # most are, and they need no escaping
            value = exact_value(one)
            exact = f' data-v="{value}"' if value else ""
            parts.append(f'<{opening} class="n"{exact}>{spelled(one)}</{closing}>')
            continue
        cell = one if isinstance(one, Cell) else Cell(one)
        shown, css, exact = escape(cell.shown), escape(cell.css), escape(cell.sorts)
        if cell.href:
            shown = Markup('<a href="{}">{}</a>').format(cell.href, cell.shown)
        sign = '<span class="sign" aria-hidden="true"></span>' if cell.status else ""
        note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
        attributes = (f' class="{css}"' if css else "") + (f' data-v="{exact}"' if exact else "")
        parts.append(f"<{opening}{attributes}>{sign}{shown}{note}</{closing}>")
    return Markup(f"<tr>{''.join(parts)}</tr>")


def _file(name: str) -> str:
    return (resources.files("loptbench.reports.page") / name).read_text()
