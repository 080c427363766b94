"""Data frames as tables in the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FILE_WIDTH = 200
"""Width, in characters, of a table that is written to a file or a pipe."""


def print_table(frame: "pd.DataFrame", formats: Mapping[str, str] | None = None) -> None:
    """Print a data frame to standard output, one line for each row.

    Args:
        frame: the table; its column names are the headings.
        formats: the number format of a column, such as ".3f"; ".4g" by default.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    formats = formats or {}
    columns = []
    for name in frame.columns:
        values = frame[name].tolist()
        is_text = any(isinstance(value, str) for value in values)
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
        columns.append([_text(value, formats.get(name, ".4g")) for value in values])
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    console.print(table, markup=False)


def _text(value: Any, number_format: str) -> str:
    """The text of a cell; a dash for a missing value."""
    if value is None or str(value) in ("nan", "<NA>"):
        return "–"
    return format(value, number_format) if isinstance(value, float) else str(value)
