"""The figures, as inline SVG: no dates, no random identifiers, the same bytes each time."""

import dataclasses
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from loptbench.records import Record

STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
QUANTITIES = ("loss", "parameters", "gradient", "state", "update")
COLOURS = sns.color_palette("colorblind")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        anchor: its identifier in the page.
        title: its heading.
        alternative: what it shows, in words, for those who do not see it.
        caption: what to look for.
        svg: the drawing.
        data: its numbers.
    """

    anchor: str
    title: str
    alternative: str
    caption: str
    svg: str
    data: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class Look:
    """One colour and one marker per name, throughout the report."""

    names: tuple[str, ...]

    def colour(self, name: str) -> tuple[float, float, float]:
        """The colour of an implementation or optimizer."""
        red, green, blue = COLOURS[self.names.index(name) % len(COLOURS)]
        return red, green, blue

    def marker(self, name: str) -> str:
        """Its marker."""
        return MARKERS[self.names.index(name) % len(MARKERS)]


@contextmanager
def drawing(anchor: str, width: float, height: float) -> Iterator[tuple[Figure, Callable[[], str]]]:
    """A figure of that size in inches to draw on, and what makes it the <svg> of the page."""
    # A Figure of its own, not pyplot's: nothing global is left behind.
    with mpl.rc_context({**STYLE, "svg.hashsalt": anchor}):
        figure = Figure(figsize=(width, height), layout="constrained")

        def svg() -> str:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            return _inline(buffer.getvalue(), anchor)

        yield figure, svg


def _inline(document: str, anchor: str) -> str:
    """The <svg> element alone, scaling to its column, its identifiers distinct in the page."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = re.sub(r'id="([^"]+)"', rf'id="{anchor}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{anchor}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{anchor}-\1)", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def errors_by_step(records: list[Record], optimizer: str, dtype: str, look: Look) -> Picture | None:
    """Observed error against its bound, over the steps of a run."""
    rows = [
        {
            "check": check["check"],
            "quantity": compared["quantity"],
            "implementation": record.key["implementation"],
            "step": step,
            "error": error,
            "bound": bound,
        }
        for record in records
        if record.key["optimizer"] == optimizer and record.key["dtype"] == dtype
        for check in record.result["checks"]
        for compared in check["comparisons"]
        if "error_by_step" in compared
        for step, (error, bound) in enumerate(
            zip(compared["error_by_step"], compared["bound_by_step"], strict=True)
        )
    ]
    if not rows:
        return None
    data = pd.DataFrame(rows).astype({"error": float, "bound": float})
    checks = [c for c in ("teacher-forced", "free-running") if (data["check"] == c).any()]
    anchor = f"errors-{dtype}"
    floor = float(np.finfo(dtype).eps) / 100
    with drawing(anchor, 12, 2.9 * len(checks)) as (figure, svg):
        axes = figure.subplots(
            len(checks), len(QUANTITIES), sharex=True, sharey=True, squeeze=False
        )
        for row, check in enumerate(checks):
            for column, quantity in enumerate(QUANTITIES):
                ax = axes[row, column]
                part = data[(data["check"] == check) & (data["quantity"] == quantity)]
                for name, one in part.groupby("implementation", sort=True):
                    ax.plot(
                        one["step"],
                        one["error"].clip(lower=floor),
                        color=look.colour(str(name)),
                        marker=look.marker(str(name)),
                        markevery=40,
                        markersize=4,
                        linewidth=1,
                        label=str(name) if (row, column) == (0, 0) else None,
                    )
                limits = part.groupby("step")["bound"].min()
                ax.plot(
                    limits.index,
                    limits,
                    color="black",
                    linestyle="--",
                    linewidth=1.2,
                    label="bound" if (row, column) == (0, 0) else None,
                )
                ax.set_yscale("log")
                ax.set_title(f"{check}: {quantity}", fontsize=9)
                if row == len(checks) - 1:
                    ax.set_xlabel("inner step")
                if column == 0:
                    ax.set_ylabel("scaled error")
        figure.legend(loc="outside upper center", ncols=len(look.names) + 1)
        picture = svg()
    worst = (
        data.assign(ratio=data["error"] / data["bound"])
        .groupby(["check", "quantity", "implementation"], sort=True)
        .agg(largest_error=("error", "max"), largest_error_over_bound=("ratio", "max"))
        .reset_index()
    )
    top = worst.loc[worst["largest_error_over_bound"].idxmax()]
    return Picture(
        anchor,
        f"Observed error against bound, {optimizer}, {dtype}",
        f"Line plots over inner steps of the scaled error of each implementation, one panel for "
        f"each of {', '.join(QUANTITIES)}, all against a dashed line, the bound. The largest error "
        f"is {top['largest_error_over_bound']:.2g} of its bound: {top['quantity']}, "
        f"{top['check']}, {top['implementation']}.",
        "Errors are relative to the size of the terms that were added up. Errors of exactly zero "
        f"are drawn at the lower edge, {floor:.0e}. Bounds of free-running grow with the growth "
        "of small errors that the reference itself measures.",
        picture,
        worst,
    )
