"""Tables from rows of cells, for the sections that are not yet made from data frames."""

import dataclasses
from collections.abc import Sequence

from loptbench.reports.page.elements import Table
from loptbench.reports.page.numbers import number_text

Value = float | int | str | None


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell: its value, what is shown of it, how something ended, small print, a link."""

    value: Value
    text: str = ""
    status: str = ""
    note: str = ""
    href: str = ""

    @property
    def shown(self) -> str:
        """What is shown."""
        return self.text or number_text(self.value)


def table_of_cells(
    anchor: str,
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Value | Cell]],
    n_heads: int = 1,
    title: str = "",
) -> Table:
    """A table of cells as a table of a data frame."""
    import pandas as pd

    names: list[str] = []
    for name in columns:
        names.append(name if name not in names else f"{name} {len(names)}")
    cells = [[one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows]
    frame = pd.DataFrame(
        [[cell.text or cell.value for cell in row] for row in cells], columns=names
    )
    marks = {
        mark: {
            name: texts
            for i, name in enumerate(names)
            if any(texts := [getattr(row[i], mark) for row in cells])
        }
        for mark in ("status", "note", "href")
    }
    return Table(
        anchor,
        caption,
        frame,
        n_heads,
        title,
        dict(zip(names, columns, strict=True)),
        status=marks["status"],
        note=marks["note"],
        link=marks["href"],
    )


def drawn_thick(names: Sequence[str]) -> str:
    """The sentence on which learned optimizers a figure draws thick; none where it draws none."""
    once = list(dict.fromkeys(names))
    verb = "is" if len(once) == 1 else "are"
    return f"Of learned optimizers, {', '.join(once)} {verb} drawn thick, others thin. " * bool(
        once
    )
