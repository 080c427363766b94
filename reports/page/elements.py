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

    def csv(self) -> str:
        """The frame as CSV, notes in columns of their own, one line for each row."""
        frame = self.frame.copy()
        for name in self.note:
            place = list(frame.columns).index(name) + 1
            frame.insert(place, f"{name}: note", self.marks(self.note, name))
        texts = frame.select_dtypes(exclude="number").columns
        frame[texts] = frame[texts].map(_safe_text)
        return str(frame.to_csv(index=False, float_format="%.9g", lineterminator="\n"))


def _safe_text(value: Any) -> Any:
    """A text cell on one line that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.splitlines())
    return f"'{line}" if value.startswith(SPREADSHEET_FORMULA) else line


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph."""

    kind: ClassVar[str] = "prose"

    text: str


@dataclasses.dataclass(frozen=True)
class Item:
    """An entry of a list: its text, status, small print and link."""

    text: str
    status: str = ""
    note: str = ""
    link: str = ""


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
class Panel:
    """One drawing of a figure: an `<svg>` element and its heading."""

    title: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """Small multiples with one legend and their numbers, which a page lets download.

    Attributes:
        anchor: its identifier in the page.
        title: its heading.
        alternative: what it shows, in words, for readers who do not see it.
        caption: what to look for, and which of the paper's figures it answers to.
        panels: the drawings; they stand side by side where there is room.
        legend: what lines and markers mean, as an `<svg>` element.
        tables: its numbers.
        command: the command that makes it again.
    """

    kind: ClassVar[str] = "figure"

    anchor: str
    title: str
    alternative: str
    caption: str
    panels: Sequence[Panel]
    legend: str
    tables: Sequence[Table]
    command: str


Part = Prose | Bullets | Code | Table | Figure | Folded


@dataclasses.dataclass(frozen=True)
class Section:
    """A section with its heading; `alarm` marks a section on failures."""

    anchor: str
    title: str
    parts: Sequence[Part]
    alarm: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
    """Sections under one entry of the contents; `beside` places them side by side if they fit."""

    title: str
    sections: Sequence[Section]
    beside: bool = False


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its title.
        lead: one sentence: what was run, and what came out.
        groups: its sections.
    """

    title: str
    lead: str
    groups: Sequence[Group]
