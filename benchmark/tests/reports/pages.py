"""An HTML page, parsed for tests."""

from html.parser import HTMLParser

from loptbench.reports.page.elements import Panel


def whole(panel: Panel) -> str:
    """The drawing of a panel with what belongs to each size."""
    return "".join([panel.svg, *panel.of_size.values()])


class Page(HTMLParser):
    """The elements and texts of a page.

    Attributes:
        html: its source.
        tags, identifiers, classes: those of its elements, in document order; `tags` without those
            in a `<template>`, which are no part of the document.
        references: the addresses that it links to or loads.
        tables: by the table's identifier, rows of cells: the cell's text, then "|" and its note.
        data: by the identifier of a long table or a figure, its CSV.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[str] = []
        self.identifiers: list[str] = []
        self.classes: list[str] = []
        self.references: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.data: dict[str, str] = {}
        self._n_templates = 0
        self._words: list[str] = []
        self._cell: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "template":
            self._n_templates += 1
        if not self._n_templates:
            self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.identifiers.append(value)
            if name in ("href", "src", "xlink:href", "action", "data") and value:
                self.references.append(value)
            if name == "class" and value:
                self.classes += value.split()
        of_this = dict(attrs)
        if of_this.get("data-csv") and of_this.get("id"):
            self.data[str(of_this["id"])] = str(of_this["data-csv"])
        if of_this.get("class") in ("tabular", "verdicts"):
            self._rows = self.tables[self.identifiers[-1]] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._cell = []
        if tag == "small" and self._cell is not None:
            self._cell.append("|")

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self._n_templates -= 1
        if tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append("".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("script", "style"):
            return
        self._words.append(data)
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self) -> str:
        """The visible text, with single spaces."""
        return " ".join("".join(self._words).split())

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of a table, by its headings."""
        head, *body = self.tables[table]
        return [dict(zip(head, row, strict=True)) for row in body]
