"""Axes for seaborn to draw on, in one theme, and their drawing as an SVG element of a page."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from loptbench.reports.page.elements import Panel, Text
from loptbench.reports.plots.styles import INK, NO_PRESET, Style
from loptbench.reports.plots.svg import THEME, Tag, svg, tags_of

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 2.8, 1.9
"""The size of a panel in inches: as wide as the screen of a phone."""
SIDES = (0.19, 0.97)
"""Where the axes begin and end, as fractions of the width."""
BOTTOM = 0.26
"""The height of the labels of an axis, in inches."""
N_TICKS = 4
"""Intervals between the labels of an axis."""
MAX_STEPS_DRAWN = 41
"""Maximum number of points of a thinned curve."""
MAX_SEEDS_DRAWN = 20
"""Maximum number of learned optimizers of a size in a panel; the tables have all of them."""
CONTROL = "control: momentum, β = 0.9"


class Canvas:
    """One panel of a figure: a pair of axes, and the data drawn on them.

    Args:
        title: its heading in the page.
        height: in inches.
        sides: where the axes begin and end, as fractions of the width.
        bottom: the height of the abscissas' labels, in inches.
        width: in inches.
    """

    def __init__(
        self,
        title: str,
        height: float = HEIGHT,
        sides: tuple[float, float] = SIDES,
        bottom: float = BOTTOM,
        width: float = WIDTH,
    ) -> None:
        self.title = title
        self.tags: list[Sequence[Tag]] = []
        with sns.axes_style("whitegrid", THEME), sns.plotting_context("paper", rc=THEME):
            self.drawing = Drawing(figsize=(width, height))
            # Fixed margins: matplotlib takes as long to compute them as to draw everything else.
            low, high = bottom / height, 1 - 0.08 / height
            box = (sides[0], low, sides[1] - sides[0], high - low)
            self.axes: Axes = self.drawing.add_axes(box)

    def tag(self, artist: Artist, *tags: Tag) -> None:
        """Say what an artist shows: one tag for all of it, or one for each of its points."""
        artist.set_gid(f"tag{len(self.tags)}")
        self.tags.append(tags)

    def curves(
        self, data: "pd.DataFrame", x: str, y: str, styles: Sequence[Style], bold: Iterable[str]
    ) -> None:
        """Draw one line for each optimizer, those in `bold` thick and the others thin.

        Args:
            data: one row for each point, with the columns `series`, `optimizer` and `size`.
            x: the column of abscissas.
            y: the column of ordinates.
            styles: the style of each series.
            bold: the optimizers that are drawn thick.
        """
        names = [style.name for style in styles]
        data = thinned(data[np.isfinite(data[y]) & data.series.isin(names)], x)
        is_bold = data.optimizer.isin(list(bold))
        options: dict[str, Any] = {
            "hue": "series",
            "hue_order": names,
            "palette": {style.name: style.light for style in styles},
            "units": "optimizer",
            "estimator": None,
            "errorbar": None,
            "sort": False,
            "legend": False,
            "ax": self.axes,
        }
        thin, thick = data[~is_bold], data[is_bold]
        if not thin.empty:
            n_before = len(self.axes.lines)
            sns.lineplot(thin, x=x, y=y, linewidth=0.7, alpha=0.55, **options)
            self._tag_lines(n_before, thin, names)
        if not thick.empty:
            n_before = len(self.axes.lines)
            markers = {style.name: style.marker or "None" for style in styles}
            sns.lineplot(
                thick,
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
            self._tag_lines(n_before, thick, names)

    def _tag_lines(self, n_before: int, data: "pd.DataFrame", names: Sequence[str]) -> None:
        """Tag the lines that seaborn drew: by series, then by optimizer."""
        first = data.drop_duplicates(["series", "optimizer"])
        first = first.assign(place=first.series.map(list(names).index))
        first = first.sort_values(["place", "optimizer"], kind="stable")
        lines = self.axes.lines[n_before:]
        for line, tag in zip(lines, tags_of(first), strict=True):
            self.tag(line, tag)

    def points(
        self, data: "pd.DataFrame", x: str, y: str, styles: Sequence[Style], **how: Any
    ) -> None:
        """Draw one point for each row, with the columns `series`, `optimizer` and `size`."""
        data = data[np.isfinite(data[x]) & np.isfinite(data[y])]
        for style in styles:
            own = data[data.series == style.name]
            if own.empty:
                continue
            # One marker for each call, so that the drawing holds its shape once.
            sns.scatterplot(
                own,
                x=x,
                y=y,
                color=style.light,
                marker=style.marker,
                **{"s": 20, "alpha": 0.75, **how},
                linewidth=0,
                legend=False,
                clip_on=False,
                ax=self.axes,
            )
            self.tag(self.axes.collections[-1], *tags_of(own))

    def scales(self, n_x: int = N_TICKS, n_y: int = N_TICKS) -> None:
        """Give both axes few ticks, as plain numbers, and no labels: the row's heading has them."""
        self.axes.set(xlabel="", ylabel="")
        for axis, n in ((self.axes.xaxis, n_x), (self.axes.yaxis, n_y)):
            if axis.get_scale() == "linear":
                axis.set_major_locator(MaxNLocator(n))
            else:
                axis.set_major_locator(LogLocator(numticks=n))
                axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(_plain)  # powers as formulas take long to set

    def explained(self, tag: Tag, first: float, second: float) -> None:
        """Write the share of the variance of two principal components on the axes."""
        for text, place, across, up in (
            (f"PC 1: {first:.0%}", (1.0, 0.0), "right", "bottom"),
            (f"PC 2: {second:.0%}", (0.0, 1.0), "left", "top"),
        ):
            self._write(text, place, across, up, tag)

    def say_absent(self, sizes: Iterable[str]) -> None:
        """Say, where one of these sizes is chosen, that no learned optimizer here is of it."""
        for size in sizes:
            words = "no learned optimizer of this size"
            self._write(words, (0.03, 0.03), "left", "bottom", Tag(size=size))

    def _write(self, text: str, place: tuple[float, float], across: str, up: str, tag: Tag) -> None:
        """Write a text at a place of the axes, as fractions of their width and height."""
        options: dict[str, Any] = {"ha": across, "va": up, "fontsize": 9, "color": INK}
        label = self.axes.text(*place, text, transform=self.axes.transAxes, **options)
        self.tag(label, tag)

    def panel(self, anchor: str, note: Text = "") -> Panel:
        """The panel of the page; `anchor` makes its identifiers unique there."""
        shared, of_size = svg(self.drawing, anchor, self.tags)
        return Panel(self.title, shared, of_size, note)


def _plain(value: float, _place: float) -> str:
    """A number of an axis, with a short power of ten.

    >>> _plain(1e-06, 0), _plain(0.01, 1)
    ('1e−6', '0.01')
    """
    text = f"{value:g}".replace("e+0", "e").replace("e+", "e")
    return text.replace("e-0", "e−").replace("e-", "e−").replace("-", "−")


def thinned(data: "pd.DataFrame", x: str) -> "pd.DataFrame":
    """At most about `MAX_STEPS_DRAWN` points of each optimizer, evenly spaced, with both ends."""
    data = data.sort_values(x, kind="stable")
    curves = data.groupby("optimizer")[x]
    place, length = curves.cumcount(), curves.transform("size")
    every = -(-length // MAX_STEPS_DRAWN)
    return data[(place % every == 0) | (place == length - 1)]


def series(data: "pd.DataFrame") -> "pd.DataFrame":
    """The optimizers that figures show, with the column `series` to colour by.

    All learned optimizers are one series. Of the controls, momentum with β = 0.9 and theoretical
    momentum are kept; sgd would repeat a tuned baseline.
    """
    is_control = data.role == "control"
    is_measured = data.role.isin(["checkpoint", "tuned", "adapted"])
    is_kept = is_measured | (is_control & (data.optimizer != "sgd"))
    data = data[is_kept]
    is_momentum = (data.role == "control") & (data.optimizer == "momentum")
    names = data.optimizer.mask(data.role == "checkpoint", "learned").mask(is_momentum, "control")
    optimizers = data.optimizer.mask(is_momentum, CONTROL)
    return data.assign(
        series=names,
        optimizer=optimizers,
        size=size_of(data),
        is_own=data.trained_by == data.implementation,
    )


def size_of(data: "pd.DataFrame") -> "pd.Series[str]":
    """The size of the learned optimizer of each row; empty for other optimizers."""
    return data.preset.replace("", NO_PRESET).where(data.role == "checkpoint", "")


def first_seeds(data: "pd.DataFrame") -> tuple["pd.DataFrame", str]:
    """The first `MAX_SEEDS_DRAWN` optimizers of each series and size, and how many are left out."""
    optimizers = data.drop_duplicates(["implementation", "series", "optimizer"])
    drawn = optimizers.groupby(["implementation", "series", "size"]).head(MAX_SEEDS_DRAWN)
    n_left_out = len(optimizers) - len(drawn)
    if not n_left_out:
        return data, ""
    words = (
        f"The first {MAX_SEEDS_DRAWN} of each size are drawn; {n_left_out} more are in the table."
    )
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
    """The optimizers to draw thick: the first of each series and size."""
    return list(data.drop_duplicates(["series", "size"]).optimizer)


def long(data: "pd.DataFrame", x: str, *columns: str) -> "pd.DataFrame":
    """The numbers of a figure: thinned curves, one row for each point."""
    import pandas as pd

    parts = [thinned(own, x) for _, own in data.groupby("task", sort=False)]
    rows = pd.concat(parts) if parts else data
    return rows[["task", "optimizer", "role", "preset", "implementation", x, *columns]]
