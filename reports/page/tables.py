"""Tables that wait behind a click where they are long."""

from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Folded, Part, Prose, Table

if TYPE_CHECKING:
    from pandas import Series

MAX_SHOWN = 12
"""Rows up to which a table is there at once; a longer one waits behind a click."""
MAX_STATIC = 200
"""Rows up to which a table is part of the page; a longer one is built when it is opened."""


def or_prose(table: Table, none: str, summary: str = "") -> list[Part]:
    """The table, behind a click if it is long, or a sentence where it would be empty."""
    if table.is_empty:
        return [Prose(none)]
    if len(table.frame) <= MAX_SHOWN or not summary:
        return [table]
    return folded(table, summary)


def folded(table: Table, summary: str) -> list[Part]:
    """The table, shown when asked for; nothing where it would be empty."""
    if table.is_empty:
        return []
    if len(table.frame) > MAX_STATIC:
        return [table.as_data(summary)]
    return [Folded(f"{summary} ({len(table.frame)})", [table])]


def marked(is_marked: "Series", status: str) -> list[str]:
    """A status for the rows that are marked, none for the others."""
    return [status if mark else "" for mark in is_marked]
