"""Axes for seaborn to draw on, in one theme, and their drawing as an SVG element of a page."""

import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Panel, Table
from loptbench.reports.plots.styles import INK, LINE, Style, variables

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 3.2, 2.3
"""The size of a panel in inches: as wide as the screen of a phone."""
MAX_STEPS_DRAWN = 60
"""Longer curves are thinned to this many points."""
MAX_SEEDS_DRAWN = 20
"""The number of learned optimizers that a panel shows; the tables have all of them."""
THEME: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": LINE,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


class Canvas:
    """One panel of a figure: a pair of axes, and the data drawn on them.

    Args:
        title: its heading in the page.
        height: in inches.
    """

    def __init__(self, title: str, height: float = HEIGHT) -> None:
        self.title = title
        with sns.axes_style("whitegrid", THEME), sns.plotting_context("paper", rc=THEME):
            self.drawing = Drawing(figsize=(WIDTH, height), layout="constrained")
            self.axes: Axes = self.drawing.add_subplot()

    def curves(
        self, data: "pd.DataFrame", x: str, y: str, styles: Sequence[Style], bold: Iterable[str]
    ) -> None:
        """Draw one line for each optimizer, those in `bold` thick and the others thin.

        Args:
            data: one row for each point, with the columns `series` and `optimizer`.
            x: the column of abscissas.
            y: the column of ordinates.
            styles: the style of each series.
            bold: the optimizers that are drawn thick.
        """
        names = [style.name for style in styles]
        data = data[np.isfinite(data[y]) & data.series.isin(names)]
        is_bold = data.optimizer.isin(list(bold))
        look: dict[str, Any] = {
            "hue": "series",
            "hue_order": names,
            "palette": {style.name: style.light for style in styles},
            "units": "optimizer",
            "estimator": None,
            "legend": False,
            "ax": self.axes,
        }
        thin = thinned(data[~is_bold], x)
        if not thin.empty:
            sns.lineplot(thin, x=x, y=y, linewidth=0.6, alpha=0.6, **look)
        if is_bold.any():
            markers = {style.name: style.marker or "None" for style in styles}
            sns.lineplot(
                thinned(data[is_bold], x),
                x=x,
                y=y,
                style="series",
                style_order=names,
                dashes={style.name: style.dashes for style in styles},
                markers=markers,
                markevery=10,
                markersize=4,
                markeredgewidth=0,
                size="series",
                sizes={style.name: style.width for style in styles},
                **look,
            )

    def labels(self, x: str, y: str) -> None:
        """Name the axes."""
        self.axes.set(xlabel=x, ylabel=y)

    def panel(self, anchor: str) -> Panel:
        """The panel of the page; `anchor` makes its identifiers unique there."""
        return Panel(self.title, svg(self.drawing, anchor))


def thinned(data: "pd.DataFrame", x: str) -> "pd.DataFrame":
    """The rows of at most `MAX_STEPS_DRAWN` values of `x`, evenly spaced, both ends included."""
    values = np.unique(data[x])
    if len(values) <= MAX_STEPS_DRAWN:
        return data
    kept = values[np.linspace(0, len(values) - 1, MAX_STEPS_DRAWN).round().astype(int)]
    return data[data[x].isin(kept)]


def legend(styles: Sequence[Style], anchor: str, more: Sequence[Any] = ()) -> str:
    """The legend of a figure as an SVG element.

    Args:
        styles: the series.
        anchor: makes its identifiers unique in the page.
        more: matplotlib artists for signs that are no series.
    """
    handles = [
        Line2D(
            [],
            [],
            color=style.light,
            marker=style.marker,
            markersize=5,
            linewidth=style.width,
            linestyle=(0, style.dashes) if style.dashes else "-",
            label=style.name,
        )
        for style in styles
    ]
    handles += list(more)
    columns = min(4, len(handles))
    rows = -(-len(handles) // columns)
    with mpl.rc_context(THEME):
        drawing = Drawing(figsize=(1.7 * columns, 0.22 * rows + 0.05))
        drawing.legend(
            handles=handles, ncols=columns, loc="center left", borderaxespad=0, fontsize=9
        )
    return svg(drawing, anchor)


def svg(drawing: Drawing, anchor: str) -> str:
    """A drawing as an `<svg>` element: the same bytes each time, with the colours of the page.

    matplotlib names its elements anew in each drawing, so they get `anchor` as a prefix.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**THEME, "svg.hashsalt": anchor}):
        FigureCanvasSVG(drawing).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', f"{anchor}-", text)
    text = re.sub(r"(\.\d)\d+", r"\1", text)
    text = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    for colour, variable in variables().items():
        text = text.replace(f": {colour}", f": var(--{variable}, {colour})")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def series(data: "pd.DataFrame") -> "pd.DataFrame":
    """The learned, tuned and control optimizers of a frame, with the column `series` to colour by.

    All learned optimizers are one series. Where several implementations measured an optimizer, the
    one that meta-trained it is kept, else the first.
    """
    data = data[data.role.isin(["checkpoint", "tuned", "control"])]
    is_own = (data.trained_by == data.implementation) if "trained_by" in data else False
    data = data.assign(
        series=data.optimizer.where(data.role != "checkpoint", "learned"), is_own=is_own
    )
    data.loc[(data.role == "control") & (data.optimizer == "momentum"), "series"] = "control"
    return data


def one_implementation(data: "pd.DataFrame") -> "pd.DataFrame":
    """Each optimizer of a task in one implementation: its own, else the first that has it."""
    if data.empty:
        return data
    names = ["task", "role", "optimizer"]
    choice = data.sort_values(["is_own", "implementation"], ascending=[False, True])
    choice = choice.drop_duplicates(names)[[*names, "implementation"]]
    return data.merge(choice, on=[*names, "implementation"])


def bold_ones(data: "pd.DataFrame") -> list[str]:
    """The optimizers to draw thick: the first of each series."""
    return list(data.drop_duplicates("series").optimizer)


def numbers(
    anchor: str, caption: str, data: "pd.DataFrame", x: str, y: str, columns: str = "optimizer"
) -> Table:
    """The numbers of a panel: one row for each abscissa, one column for each optimizer."""
    wide = thinned(data, x).pivot_table(index=x, columns=columns, values=y, aggfunc="first")
    wide.columns = [str(column) for column in wide.columns]
    words = f"{caption}; of long curves at most {MAX_STEPS_DRAWN} points."
    return Table(f"{anchor}-numbers", words, wide.reset_index().astype(float))
