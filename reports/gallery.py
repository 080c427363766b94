"""The gallery of optimizers as a page, or as a table in CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.gallery import COLUMNS, TASK
from loptbench.storage.files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

DIGITS = "%.9g"
"""Digits of a number in CSV: more than any comparison looks at."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>loptbench: gallery of optimizers</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; }}
body {{ padding: 0 1rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #8886; padding: 0.3rem 0.7rem; }}
th, td {{ text-align: left; vertical-align: top; }}
td {{ font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
<main>
<h1>What is inside the optimizers of torch.optim and optax</h1>
<p>{n_measured} optimizers were measured on the {task} task, {n_refused} are not component-wise.</p>
<h2>Measured</h2>
<div class="wide" role="region" aria-label="Measured" tabindex="0">{measured}</div>
<h2>Refused</h2>
<div class="wide" role="region" aria-label="Refused" tabindex="0">{refused}</div>
<h2>Columns</h2>
<dl>{columns}</dl>
</main>
</body>
</html>
"""


def write(table: "DataFrame", path: Path) -> Path:
    """Write a gallery: CSV if the name ends in .csv, else a page.

    Args:
        table: what `loptbench.gallery.measure` returned.
        path: the file to write.

    Returns: the path.
    """
    if path.suffix == ".csv":
        text = table.to_csv(index=False, float_format=DIGITS, lineterminator="\n")
    else:
        measured, refused = parts(table)
        text = PAGE.format(
            task=TASK,
            n_measured=len(measured),
            n_refused=len(refused),
            measured=measured.to_html(index=False, border=0),
            refused=refused.to_html(index=False, border=0),
            columns="".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in COLUMNS.items()),
        )
    write_atomically(path, text.encode())
    return path


def parts(table: "DataFrame") -> "tuple[DataFrame, DataFrame]":
    """The optimizers that were measured, with rounded numbers, and those that were refused."""
    is_refused = table["refused"] != ""
    measured = table[~is_refused].drop(columns="refused")
    numbers = measured.select_dtypes("number").columns
    for name in numbers:
        measured[name] = measured[name].map(lambda x: "" if x != x else f"{x:.4g}")
    return measured, table[is_refused][["optimizer", "refused", "version"]]
