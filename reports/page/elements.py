"""What a page is made of: sections of prose, tables and figures, as plain values.

Every page of loptbench (the report of a store, the comparison of two, the report of a test
session) is a `Page`, and `loptbench.reports.page.render.html` writes any of them: what a table or a
figure can do, it can do everywhere.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import ClassVar

Value = float | int | str | None


def spelled(value: Value) -> str:
    """A value as it stands in a page; a number that is not there, or was not finite, is a dash."""
    if value is None or value != value:
        return "–"
    if not isinstance(value, float):
        return str(value)
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}"


def exact_value(value: Value, shown: str = "") -> str:
    """A number with its digits, where what is shown of it has fewer; else nothing.

    Args:
        value: the number, or what is none.
        shown: what is shown, if not the number as `spelled`.
    """
    if not isinstance(value, float | int) or value != value:
        return ""
    exact = f"{value:.9g}".replace("inf", "Infinity")
    return "" if exact == (shown or spelled(value)) else exact


def interval(low: Value, high: Value) -> str:
    """An interval in words, or a dash."""
    return "–" if low is None or high is None else f"{spelled(low)} to {spelled(high)}"


def drawn_thick(names: Sequence[str]) -> str:
    """The sentence on which learned optimizers a figure draws thick; none where it draws none."""
    once = list(dict.fromkeys(names))
    verb = "is" if len(once) == 1 else "are"
    said = f"Of learned optimizers, {', '.join(once)} {verb} drawn thick, others thin. "
    return said if once else ""


def anchor(kind: str, name: str) -> str:
    """The identifier of something that users name, such as an implementation; its own."""
    return "-".join([kind, re.sub(r"[^\w.:-]", lambda one: f"-{ord(one[0]):x}-", name)])


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        value: what it is sorted by, and what is downloaded.
        text: what is shown, if not the value as `spelled`.
        status: how something ended, such as "failed"; statuses look different.
        note: small print under it.
        href: where it leads, such as "#claim-momentum".
    """

    value: Value
    text: str = ""
    status: str = ""
    note: str = ""
    href: str = ""

    @property
    def shown(self) -> str:
        """What is shown."""
        return self.text or spelled(self.value)

    @property
    def sorts(self) -> str:
        """The exact value, where what is shown is less; empty where it is the same."""
        return exact_value(self.value, self.text)

    @property
    def css(self) -> str:
        """The classes: a number or a long text, and how it ended."""
        numeric = "n" if self.value is None or isinstance(self.value, float | int) else ""
        long = "long" if len(self.shown) > 40 else ""
        return " ".join(filter(None, (numeric, long, self.status.replace(" ", "-"))))


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that a page lets sort, filter and download.

    Attributes:
        anchor: its identifier in the page, and in the page's address.
        caption: what it shows.
        columns: the headings, with units.
        rows: values, or cells where there is more to say.
        n_heads: how many of the first columns name the row.
        title: its heading, if it has one of its own.
    """

    kind: ClassVar[str] = "table"

    anchor: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value | Cell]]
    n_heads: int = 1
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Panel:
    """One drawing of a figure: an `<svg>` element and its heading."""

    title: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Key:
    """An entry of a figure's legend: an `<svg>` element that shows line and marker, and a name."""

    name: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """Small multiples with one legend, that a page lets download, with their numbers.

    Attributes:
        anchor: its identifier in the page.
        title: its heading.
        alternative: what it shows, in words, for those who do not see it.
        caption: what to look for, and which of the paper's figures it answers to.
        panels: the drawings; they stand side by side where there is room.
        legend: what lines and markers mean.
        tables: its numbers.
        command: what makes it again.
    """

    kind: ClassVar[str] = "figure"

    anchor: str
    title: str
    alternative: str
    caption: str
    panels: Sequence[Panel]
    legend: Sequence[Key]
    tables: Sequence[Table]
    command: str


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph."""

    kind: ClassVar[str] = "prose"

    text: str


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list; `status` of each item says how something ended."""

    kind: ClassVar[str] = "bullets"

    items: Sequence[Cell]


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to type."""

    kind: ClassVar[str] = "code"

    text: str


@dataclasses.dataclass(frozen=True)
class Folded:
    """Parts that are shown when asked for."""

    kind: ClassVar[str] = "folded"

    summary: str
    parts: "Sequence[Part]"


Part = Prose | Bullets | Code | Table | Figure | Folded


@dataclasses.dataclass(frozen=True)
class Section:
    """A section with its heading; `alarm` if it tells of what went wrong."""

    anchor: str
    title: str
    parts: Sequence[Part]
    alarm: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
    """Sections under one entry of the page's contents; side by side where there is room, if so."""

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
