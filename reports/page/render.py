"""Render a page as one self-contained HTML file."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from loptbench.reports.page.elements import Page, Panel, Table, Text
from loptbench.reports.page.numbers import exact_text, number_text
from loptbench.reports.plots.styles import colours

LONG_TEXT = 40
"""Number of characters above which a cell gets a minimum width."""


def html(page: Page) -> str:
    """The page as one self-contained HTML file; the same page gives the same bytes."""
    style = f"{colours()}\n{_file('style.css')}"
    return _template().render(
        page=page, places=_Places(page.sizes), style=style, script=_file("script.js")
    )


class _Places:
    """The places of a page whose content depends on the chosen size of learned optimizers.

    The page has there what belongs to the size that it shows at first. What belongs to the others
    waits in a `<template>` for each, where it is no part of the document; the script puts it in
    place when its size is chosen, and what was there into the template of its own size.

    Attributes:
        waiting: for each size, what each place has for it, in the order of the page.

    Args:
        sizes: the sizes that the reader can choose from, the first at first.
    """

    def __init__(self, sizes: Sequence[str]) -> None:
        self.waiting: dict[str, list[Markup]] = {size: [] for size in sizes}

    def text(self, words: Text) -> Markup:
        """A text, or a place for that of the chosen size."""
        if isinstance(words, str):
            return escape(words)
        own = {size: escape(text) for size, text in words.items()}
        return Markup('<span class="of-size">{}</span>').format(self._first(own, "span"))

    def drawing(self, panel: Panel) -> Markup:
        """The drawing of a panel, with a place for what belongs to the chosen size."""
        if not panel.of_size:
            return Markup(panel.svg)
        own = {size: Markup(part) for size, part in panel.of_size.items()}
        place = Markup('<g class="of-size">{}</g></svg>').format(self._first(own, "svg"))
        return Markup(panel.svg.removesuffix("</svg>")) + place

    def _first(self, own: Mapping[str, Markup], tag: str) -> Markup:
        """What a place has at first; what it has for other sizes waits, in elements `tag`.

        Without sizes to choose from, it has everything.
        """
        if not self.waiting:
            return Markup("").join(own.values())
        shown, *_ = self.waiting
        for size, parts in self.waiting.items():
            content = "" if size == shown else own.get(size, "")
            parts.append(Markup(f"<{tag}>{content}</{tag}>"))
        return own.get(shown, Markup(""))


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
