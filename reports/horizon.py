"""Runs of several lengths as a page with a figure, or as a table in CSV."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loptbench.horizon import COLUMNS
from loptbench.reports.plain_page import plain_page, write_table
from loptbench.tasks import in_order

if TYPE_CHECKING:
    from pandas import DataFrame

RATIOS = {"ratio": "mean loss of the run", "last_ratio": "loss at the last step"}
"""The columns that the figure shows, and their names in it."""


def write(table: "DataFrame", path: Path) -> Path:
    """Write a table of runs: CSV if the name ends in .csv, else a page.

    Args:
        table: what `loptbench.horizon.measure` returned.
        path: the file to write.

    Returns: the path.
    """
    return write_table(table, path, _page)


def _page(table: "DataFrame") -> str:
    seeds = table["optimizer"].nunique()
    return plain_page(
        "runs of several lengths",
        "Runs longer than those that optimizers were made for",
        f"{seeds} learned optimizers beside the best baseline of each length, on "
        f"{', '.join(in_order(table['task']))}. A ratio below 1 is better than the baseline.",
        {
            "Learned over baseline, against the length of the run": _svg(figure(table)),
            "Over seeds": over_seeds(table).to_html(index=False, border=0),
            "Each seed": _rounded(table).to_html(index=False, border=0),
        },
        COLUMNS,
    )


def over_seeds(table: "DataFrame") -> "DataFrame":
    """The median, lowest and highest ratio over seeds, of each task, preset, family and length."""
    import pandas as pd

    rows = []
    keys = ["task", "preset", "family", "multiple"]
    for key, own in table.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True)) | {"n_seeds": len(own)}
        row["baseline"] = ", ".join(dict.fromkeys(own["baseline"]))
        for name in RATIOS:
            low, middle, high = own[name].min(), own[name].median(), own[name].max()
            known = f"{middle:.3g} ({low:.3g} to {high:.3g})"
            row[name] = "–" if own[name].isna().all() else known
        rows.append(row)
    return pd.DataFrame(rows)


def figure(table: "DataFrame") -> Any:
    """Ratios against the length of the run: a column for each task, a row for each ratio.

    A line is the median over seeds, and its band goes from the lowest to the highest seed.
    """
    import seaborn as sns
    from matplotlib.ticker import NullLocator

    long = table.melt(
        ["task", "preset", "optimizer", "family", "multiple"],
        list(RATIOS),
        "quantity",
        "learned / baseline",
    ).replace({"quantity": RATIOS})
    with sns.axes_style("ticks"), sns.plotting_context("notebook", font_scale=0.8):
        grid = sns.relplot(
            long,
            x="multiple",
            y="learned / baseline",
            row="quantity",
            col="task",
            col_order=in_order(table["task"]),
            hue="family",
            style="preset",
            kind="line",
            markers=True,
            estimator="median",
            errorbar=("pi", 100),
            height=2.2,
            aspect=1.15,
            facet_kws={"sharey": False, "margin_titles": True},
        )
        grid.set(yscale="log", xscale="log", xticks=sorted({*table["multiple"]}))
        grid.set_titles(col_template="{col_name}", row_template="{row_name}")
        grid.set_xlabels("length / trained length")
        for axes in grid.axes.flat:
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.axhline(1, color="0.6", linewidth=1, zorder=0)
            low, high = axes.get_ylim()
            if high < 10 * low:  # within a decade, numbers are shorter than powers of ten
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("{x:g}")
    return grid.figure


def _svg(drawn: Any) -> str:
    import matplotlib.pyplot as plt

    buffer = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "horizon"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(drawn)
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace("<svg", '<svg role="img" aria-label="Ratios"', 1)


def _rounded(table: "DataFrame") -> "DataFrame":
    rounded = table.copy()
    for name in table.select_dtypes("float").columns:
        rounded[name] = [f"{value:.4g}" for value in table[name]]
    return rounded
