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
from matplotlib.ticker import NullFormatter

from loptbench.reports.page.elements import Panel, Table
from loptbench.reports.plots.styles import INK, LINE, Style, variables

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 3.2, 2.3
"""The size of a panel in inches: as wide as the screen of a phone."""
BOTTOM = 0.46
"""The height of an axis with a label of one line, in inches."""
LINE_HEIGHT = 0.15
"""The height of each further line of a label, in inches."""
LEGEND_COLUMNS = 4
MAX_STEPS_DRAWN = 61
"""Maximum number of points of a thinned curve."""
MAX_SEEDS_DRAWN = 20
"""Maximum number of learned optimizers in a panel; the tables have all of them."""
CONTROL = "control: momentum, β = 0.9"
THEME: dict[Any, Any] = {
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
        bottom: the height of the abscissas' labels, in inches.
    """

    def __init__(self, title: str, height: float = HEIGHT, bottom: float = BOTTOM) -> None:
        self.title = title
        with sns.axes_style("whitegrid", THEME), sns.plotting_context("paper", rc=THEME):
            self.drawing = Drawing(figsize=(WIDTH, height))
            # Fixed margins: matplotlib takes as long to compute them as to draw everything else.
            low, high = bottom / height, 1 - 0.08 / height
            self.axes: Axes = self.drawing.add_axes((0.24, low, 0.73, high - low))

    def curves(
        self, data: "pd.DataFrame", x: str, y: str, styles: Sequence[Style], bold: Iterable[str]
    ) -> None:
        """Draw one line for each optimizer, those in `bold` thick and the others thin.

        Thick lines have every point; thin ones are thinned.

        Args:
            data: one row for each point, with the columns `series` and `optimizer`.
            x: the column of abscissas.
            y: the column of ordinates.
            styles: the style of each series.
            bold: the optimizers that are drawn thick.
        """
        names = [style.name for style in styles]
        data = data[np.isfinite(data[y]) & data.series.isin(names)]
        if data.empty:
            return
        is_bold = data.optimizer.isin(list(bold))
        options: dict[str, Any] = {
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
            sns.lineplot(thin, x=x, y=y, linewidth=0.6, alpha=0.6, **options)
        if is_bold.any():
            markers = {style.name: style.marker or "None" for style in styles}
            sns.lineplot(
                data[is_bold],
                x=x,
                y=y,
                style="series",
                style_order=names,
                dashes={style.name: style.dashes for style in styles},
                markers=markers,
                markevery=0.2,
                markersize=4,
                markeredgewidth=0,
                size="series",
                sizes={style.name: style.width for style in styles},
                **options,
            )

    def labels(self, x: str, y: str) -> None:
        """Name the axes."""
        self.axes.set(xlabel=x, ylabel=y)

    def panel(self, anchor: str) -> Panel:
        """The panel of the page; `anchor` makes its identifiers unique there."""
        for axis in (self.axes.xaxis, self.axes.yaxis):
            if axis.get_scale() != "linear":  # plain numbers: powers as formulas take long to set
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
        return Panel(self.title, svg(self.drawing, anchor))


def thinned(data: "pd.DataFrame", x: str) -> "pd.DataFrame":
    """At most about `MAX_STEPS_DRAWN` points of each optimizer, evenly spaced, with both ends."""
    data = data.sort_values(x, kind="stable")
    curves = data.groupby("optimizer")[x]
    place, length = curves.cumcount(), curves.transform("size")
    every = -(-length // MAX_STEPS_DRAWN)
    return data[(place % every == 0) | (place == length - 1)]


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
    columns = min(LEGEND_COLUMNS, len(handles))
    rows = -(-len(handles) // columns)
    with mpl.rc_context(THEME):
        # One width for all legends: pages scale them to it, so letters have the same size.
        drawing = Drawing(figsize=(1.7 * LEGEND_COLUMNS, 0.22 * rows + 0.05))
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
        # matplotlib leaves this method without types.
        FigureCanvasSVG(drawing).print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', f"{anchor}-", text)
    text = re.sub(r"(\.\d)\d+(?=[^<>]*>)", r"\1", text)  # of coordinates, not of words
    text = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    for colour, variable in variables().items():
        text = text.replace(f": {colour}", f": var(--{variable}, {colour})")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def series(data: "pd.DataFrame") -> "pd.DataFrame":
    """The learned and tuned optimizers and the controls, with the column `series` to colour by.

    All learned optimizers are one series. Of the controls, momentum with β = 0.9 and theoretical
    momentum are kept; sgd would repeat a tuned baseline.
    """
    is_control = data.role == "control"
    is_kept = data.role.isin(["checkpoint", "tuned"]) | (is_control & (data.optimizer != "sgd"))
    data = data[is_kept]
    is_momentum = (data.role == "control") & (data.optimizer == "momentum")
    names = data.optimizer.mask(data.role == "checkpoint", "learned").mask(is_momentum, "control")
    optimizers = data.optimizer.mask(is_momentum, CONTROL)
    return data.assign(
        series=names, optimizer=optimizers, is_own=data.trained_by == data.implementation
    )


def first_seeds(data: "pd.DataFrame") -> tuple["pd.DataFrame", str]:
    """The first `MAX_SEEDS_DRAWN` optimizers of each series, and a sentence on those left out."""
    optimizers = data.drop_duplicates(["implementation", "series", "optimizer"])
    drawn = optimizers.groupby(["implementation", "series"]).head(MAX_SEEDS_DRAWN)
    n_left_out = len(optimizers) - len(drawn)
    if not n_left_out:
        return data, ""
    words = f"The first {MAX_SEEDS_DRAWN} of each are drawn; {n_left_out} more are in the table."
    return data.merge(drawn[["implementation", "series", "optimizer"]]), f" {words}"


def one_implementation(data: "pd.DataFrame") -> "pd.DataFrame":
    """Each optimizer as measured by one implementation: its own, else the first by name."""
    if data.empty:
        return data
    names = ["task", "role", "optimizer"]
    choice = data.sort_values(["is_own", "implementation"], ascending=[False, True])
    choice = choice.drop_duplicates(names)[[*names, "implementation"]]
    return data.merge(choice, on=[*names, "implementation"])


def bold_optimizers(data: "pd.DataFrame") -> list[str]:
    """The optimizers to draw thick: the first of each series."""
    return list(data.drop_duplicates("series").optimizer)


def numbers(anchor: str, caption: str, data: "pd.DataFrame", x: str, y: str) -> Table:
    """The numbers of a panel: a column for each optimizer, beside the abscissas.

    If the abscissas of optimizers differ, each optimizer has its own column of abscissas.
    """
    data = thinned(data, x).drop_duplicates(["optimizer", x])
    if data.groupby("optimizer")[x].agg(tuple).nunique() == 1:
        wide = data.pivot(index=x, columns="optimizer", values=y).reset_index()
        wide.columns = [str(name) for name in wide.columns]
    else:
        data = data.assign(place=data.groupby("optimizer").cumcount())
        wide = data.pivot(index="place", columns="optimizer", values=[x, y])
        wide = wide.swaplevel(axis=1).sort_index(axis=1, kind="stable")
        wide.columns = [f"{name}: {part.replace('_', ' ')}" for name, part in wide.columns]
    words = f"{caption}; of long curves about {MAX_STEPS_DRAWN} points."
    return Table(f"{anchor}-numbers", words, wide.astype(float), 0)
