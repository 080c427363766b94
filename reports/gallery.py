"""The gallery of optimizers as a page, or as a table in CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.gallery import COLUMNS, TASK
from loptbench.reports.plain_page import plain_page, write_table

if TYPE_CHECKING:
    from pandas import DataFrame


def write(table: "DataFrame", path: Path) -> Path:
    """Write a gallery: CSV if the name ends in .csv, else a page.

    Args:
        table: what `loptbench.gallery.measure` returned.
        path: the file to write.

    Returns: the path.
    """
    return write_table(table, path, _page)


def _page(table: "DataFrame") -> str:
    measured, refused = parts(table)
    return plain_page(
        "gallery of optimizers",
        "What is inside the optimizers of torch.optim and optax",
        f"{len(measured)} optimizers were measured on the {TASK} task, {len(refused)} are not "
        "component-wise.",
        {
            "Measured": measured.to_html(index=False, border=0),
            "Refused": refused.to_html(index=False, border=0),
        },
        COLUMNS,
    )


def parts(table: "DataFrame") -> "tuple[DataFrame, DataFrame]":
    """The optimizers that were measured, with rounded numbers, and those that were refused."""
    is_refused = table["refused"] != ""
    measured = table[~is_refused].drop(columns="refused")
    numbers = measured.select_dtypes("number").columns
    for name in numbers:
        measured[name] = measured[name].map(lambda x: "" if x != x else f"{x:.4g}")
    return measured, table[is_refused][["optimizer", "refused", "version"]]
