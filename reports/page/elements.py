"""The elements of a page: sections of text, tables and figures, as plain values.

Every page of loptbench (the report of a store, the comparison of two stores, the report of a test
session) is a `Page`, and `loptbench.reports.page.render.html` writes any of them.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd

SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text cell that begins with one of these would be run as a formula by a spreadsheet."""


def anchor(kind: str, name: str) -> str:
    """The HTML identifier of something that users name, such as an implementation.

    >>> anchor("implementation", "mine:Mine v2")
    'implementation-mine:Mine-20-v2'
    """
    return "-".join([kind, re.sub(r"[^\w.:-]", lambda match: f"-{ord(match[0]):x}-", name)])


Marks = Mapping[str, Sequence[str]]
"""For some columns of a table, one text for each row; "" where there is none."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A data frame that the page lets sort, filter and download.

    Attributes:
        anchor: its identifier in the page, and in the page's address.
        caption: what it shows.
        frame: its numbers and texts; the download has them with all digits.
        n_heads: the number of leading columns that name the row.
        title: its heading, if it has one of its own.
        headings: the heading of each column whose heading differs from its name.
        about: description and unit of columns, as a frame of `loptbench.results.frames` has them.
        status: the status of a cell, such as "failed"; each status has a style of its own.
        note: small print under a cell.
        link: the address that a cell links to, such as "#claim-momentum".
    """

    kind: ClassVar[str] = "table"

    anchor: str
    caption: str
    frame: "pd.DataFrame"
    n_heads: int = 1
    title: str = ""
    headings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    about: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    status: Marks = dataclasses.field(default_factory=dict)
    note: Marks = dataclasses.field(default_factory=dict)
    link: Marks = dataclasses.field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""
        return bool(self.frame.empty)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The heading of each column, with its unit, and its description."""
        columns = []
        for name in self.frame.columns:
            description, unit = self.about.get(name, ("", ""))
            heading = self.headings.get(name, str(name).replace("_", " "))
            has_unit = unit and name not in self.headings
            columns.append((f"{heading} ({unit})" if has_unit else heading, description))
        return columns

    def marks(self, marks: Marks, column: str) -> list[str]:
        """The marks of one column, one for each row."""
        return list(marks[column]) if column in marks else [""] * len(self.frame)

    def with_notes(self) -> "pd.DataFrame":
        """The frame, with notes in columns of their own."""
        frame = self.frame.copy()
        for name in self.note:
            place = list(frame.columns).index(name) + 1
            frame.insert(place, f"{name}: note", self.marks(self.note, name))
        return frame

    def csv(self) -> str:
        """The frame as CSV, notes in columns of their own, one line for each row."""
        return _csv(self.with_notes())

    def as_data(self, title: str) -> "Data":
        """The same rows as a long table that the page builds when the reader opens it."""
        heads = self.frame.columns[: self.n_heads]
        n_heads = self.n_heads + sum(name in self.note for name in heads)
        frame = self.with_notes().rename(columns=dict(self.headings))
        return Data(self.anchor, title, self.caption, frame, n_heads, self.about)


def _csv(frame: "pd.DataFrame") -> str:
    """A frame as CSV: numbers with nine digits, texts on one line that no spreadsheet runs."""
    frame = frame.copy()
    texts = frame.select_dtypes(exclude="number").columns
    frame[texts] = frame[texts].astype(object).map(_safe_text)
    frame.columns = [_safe_text(str(name)) for name in frame.columns]
    return str(frame.to_csv(index=False, float_format="%.9g", lineterminator="\n"))


def _safe_text(value: Any) -> Any:
    """A text cell on one line that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.splitlines())
    return f"'{line}" if value.startswith(SPREADSHEET_FORMULA) else line


Text = str | Mapping[str, str]
"""A text, or one for each size of learned optimizers, of which the page shows the chosen one's."""


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph."""

    kind: ClassVar[str] = "prose"

    text: Text


@dataclasses.dataclass(frozen=True)
class Item:
    """An entry of a list: its text, status, small print, link and identifier."""

    text: Text
    status: str = ""
    note: str = ""
    link: str = ""
    anchor: str = ""


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "bullets"

    items: Sequence[Item]


@dataclasses.dataclass(frozen=True)
class Code:
    """Commands to type."""

    kind: ClassVar[str] = "code"

    text: str


@dataclasses.dataclass(frozen=True)
class Folded:
    """Parts that are hidden until the reader unfolds them."""

    kind: ClassVar[str] = "folded"

    summary: str
    parts: "Sequence[Part]"


@dataclasses.dataclass(frozen=True)
class Data:
    """A long table that the page builds when the reader opens it, from the CSV that it lets save.

    Attributes:
        anchor: its identifier in the page, and in the page's address.
        title: its heading.
        caption: what it shows.
        frame: its numbers and texts; of a column `preset`, the page shows the chosen size.
        n_heads: the number of leading columns that name the row.
        about: description and unit of columns, as a frame of `loptbench.results.frames` has them.
    """

    kind: ClassVar[str] = "data"

    anchor: str
    title: str
    caption: str
    frame: "pd.DataFrame"
    n_heads: int = 1
    about: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def csv(self) -> str:
        """The frame as CSV, one line for each row."""
        return _csv(self.frame)

    def columns(self) -> list[dict[str, Any]]:
        """Heading and description of each column, and whether it has numbers."""
        shape = Table(self.anchor, self.caption, self.frame, about=self.about)
        return [
            {"heading": heading, "about": description, "number": kind.kind in "iuf"}
            for (heading, description), kind in zip(shape.columns, self.frame.dtypes, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Mark:
    """One verdict in a cell of a matrix.

    Attributes:
        outcome: the outcome, which has a sign and a colour.
        text: the number of seeds for it, of all.
        words: the verdict in words.
        size: the size of its learned optimizers.
        is_aside: whether another verdict of this size comes before it.
        is_shipped: whether it is one of the shipped reference results, not measured here.
        is_other: whether it is shown only when its size is chosen.
    """

    outcome: str
    text: str
    words: str
    size: str
    is_aside: bool = False
    is_shipped: bool = False
    is_other: bool = False


@dataclasses.dataclass(frozen=True)
class Matrix:
    """Verdicts as a heat map: a mark for each size in each cell; large is that of the chosen size.

    Attributes:
        anchor: its identifier in the page.
        caption: what the marks mean.
        columns: the headings of the columns.
        rows: for each row its heading, the address of its evidence, and its cells; a cell without
            marks is one that nothing is claimed of.
    """

    kind: ClassVar[str] = "matrix"

    anchor: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Sequence[Mark]]]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        title: its heading.
        svg: an `<svg>` element: what it shows of all sizes of learned optimizers.
        of_size: for each size, SVG elements that are drawn on top.
        note: a line under it.
    """

    title: str
    svg: str
    of_size: Mapping[str, str] = dataclasses.field(default_factory=dict)
    note: Text = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """Panels side by side, with one heading that also names their axes; None is an empty place."""

    title: str
    panels: Sequence[Panel | None]


@dataclasses.dataclass(frozen=True)
class Key:
    """An entry of a legend: its text, an `<svg>` element, and whether it hides its series."""

    name: str
    svg: str
    is_series: bool = True


@dataclasses.dataclass(frozen=True)
class Figure:
    """Rows of panels with one legend and their numbers, which a page lets download.

    Attributes:
        anchor: its identifier in the page.
        title: its heading.
        alternative: what it shows, in words, for readers who do not see it.
        caption: what to look for, and which of the paper's figures it answers to.
        rows: the drawings.
        legend: what lines and markers mean.
        data: its numbers, one row for each point.
        command: the command that makes it again.
        columns: the headings of the columns, where all rows have the same ones.
    """

    kind: ClassVar[str] = "figure"

    anchor: str
    title: str
    alternative: str
    caption: str
    rows: Sequence[Row]
    legend: Sequence[Key]
    data: "pd.DataFrame"
    command: str
    columns: Sequence[str] = ()

    @property
    def panels(self) -> list[Panel]:
        """The panels of all rows."""
        return [panel for row in self.rows for panel in row.panels if panel is not None]

    def csv(self) -> str:
        """The numbers as CSV, one line for each point."""
        return _csv(self.data)


@dataclasses.dataclass(frozen=True)
class Beside:
    """Two columns, one above the other where there is no room."""

    kind: ClassVar[str] = "beside"

    left: "Sequence[Part]"
    right: "Sequence[Part]"


Part = Prose | Bullets | Code | Table | Data | Matrix | Figure | Folded | Beside


@dataclasses.dataclass(frozen=True)
class Section:
    """A section with its heading; `alarm` marks a section on failures."""

    anchor: str
    title: str
    parts: Sequence[Part]
    alarm: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
    """Sections under one entry of the contents."""

    title: str
    sections: Sequence[Section]


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its title.
        lead: one sentence: what was run, and what came out.
        groups: its sections.
        note: a line under the lead.
        sizes: the sizes of learned optimizers that the reader can choose from, the first at first.
    """

    title: str
    lead: Text
    groups: Sequence[Group]
    note: str = ""
    sizes: Sequence[str] = ()
