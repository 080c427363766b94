"""Drawing panels as inline SVG: for light and dark pages, the same bytes each time."""

import dataclasses
import html
import io
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, MaxNLocator

from loptbench.reports.page.cells import table_of_cells
from loptbench.reports.page.elements import Panel, Table
from loptbench.reports.plots.styles import IMPLEMENTATIONS, OPTIMIZERS, Look

INK, PAPER, LINE = "#1b1f24", "#ffffff", "#d0d7de"
STYLE: Any = {
    "svg.fonttype": "none",
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "path.simplify_threshold": 0.3,
}
WIDTH, HEIGHT, LEFT, RIGHT = 3.2, 2.3, 0.72, 0.16
"""Of a panel, in inches, and its margins: as wide as a phone, to be legible there."""
POINTS = 50
"""At most so many numbers of a long curve are told, and drawn of a thin one."""
MOST = 20
"""So many optimizers of one look are drawn in a panel; tables have all of them."""
VARIABLES = {
    INK: "ink",
    PAPER: "paper",
    LINE: "line",
    **{look.light: look.light[1:] for look in (*OPTIMIZERS, *IMPLEMENTATIONS)},
}


T = TypeVar("T")


def few(items: Iterable[T], look: Callable[[T], Hashable]) -> tuple[list[T], str]:
    """The first items of each look, and a sentence on how many are left out; empty if none is."""
    kept: list[T] = []
    counts: Counter[Hashable] = Counter()
    for item in items:
        counts[look(item)] += 1
        if counts[look(item)] <= MOST:
            kept.append(item)
    left = counts.total() - len(kept)
    said = f" The first {MOST} of each are drawn; {left} more are in the table." if left else ""
    return kept, said


@dataclasses.dataclass(frozen=True)
class Series:
    """Numbers that a panel shows, for its table."""

    x_name: str
    name: str
    x: np.ndarray
    y: np.ndarray


class Canvas:
    """A panel to draw on: one pair of axes, and the numbers drawn.

    Args:
        title: its heading in the page.
        height: in inches.
    """

    def __init__(self, title: str, height: float = HEIGHT) -> None:
        self.title = title
        self.series: list[Series] = []
        self.fixed: dict[str, tuple[list[float], list[str]]] = {}
        self.x_label = self.y_label = ""
        self.ax = _axes(height)

    def line(self, x: Any, y: Any, look: Look, name: str = "", again: bool = False) -> None:
        """Draw a curve.

        Args:
            x: the abscissas.
            y: the ordinates; gaps where they are NaN.
            look: whose curve it is.
            name: its column in the table; it has none if it is empty.
            again: whether it is a further seed of the same, which is drawn thin and bare.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        style: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.55}
        if not again:
            style = {"linewidth": look.width, "linestyle": look.dash}
            if look.marker:
                every = max(1, x.size // 6)
                style |= {"marker": look.marker, "markevery": every, "markersize": 4}
        some = slice(None, None, -(-x.size // POINTS))
        if name:
            self.series.append(Series("", name, x[some], y[some]))
        if again:
            x, y = x[some], y[some]
        self.ax.plot(x, y, color=look.light, **style)

    def labels(self, x: str, y: str) -> None:
        """Name the axes."""
        self.x_label, self.y_label = x, y
        self.series = [dataclasses.replace(one, x_name=x) for one in self.series]

    def log(self, *axes: str) -> None:
        """Make the axes "x" or "y" logarithmic."""
        for name in axes:
            getattr(self.ax, f"set_{name}scale")("log")

    def ticks(self, axis: str, at: Sequence[float], names: Sequence[str] = ()) -> None:
        """Say where the ticks of an axis are, if not where they would be by themselves."""
        self.fixed[axis] = (list(at), list(names) or [_tick(value) for value in at])

    def bare(self) -> None:
        """No ticks: a picture rather than a plot."""
        self.ticks("x", [])
        self.ticks("y", [])

    def panel(self, anchor: str) -> Panel:
        """The finished panel; `anchor` must be the only one of its name in the page.

        With it the canvas is used up: nothing more can be drawn on it.
        """
        under, over = self._frame()
        drawing: Any = self.ax.get_figure()
        with mpl.rc_context({**STYLE, "svg.hashsalt": anchor}):
            buffer = io.StringIO()
            canvas: Any = FigureCanvasSVG(drawing)
            canvas.print_svg(buffer, metadata={"Date": None})
        _FREE.append(self.ax)
        del self.ax
        return Panel(self.title, _inline(buffer.getvalue(), anchor, under, over))

    def _frame(self) -> tuple[str, str]:
        """Grid, ticks and names of the axes, as SVG: what goes under the drawing, and over it.

        matplotlib's own, of five artists a tick, take most of the time that a report is drawn in.
        """
        ax = self.ax
        ax.apply_aspect()  # which may move the limits
        ax.set_aspect("auto")
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        x, x_names = self.fixed.get("x") or _ticks(ax.get_xscale(), left, right)
        y, y_names = self.fixed.get("y") or _ticks(ax.get_yscale(), bottom, top)
        height = float(ax.get_figure().bbox.height)  # type: ignore[union-attr]
        box = ax.bbox
        x0, x1, y0, y1 = box.x0, box.x1, height - box.y0, height - box.y1
        across = [ax.get_xaxis_transform().transform((v, 0))[0] for v in x]
        down = [height - ax.get_yaxis_transform().transform((0, v))[1] for v in y]
        lines = "".join(f"M{at:.1f} {y0:.1f}V{y1:.1f}" for at in across)
        if "y" not in self.fixed:
            lines += "".join(f"M{x0:.1f} {at:.1f}H{x1:.1f}" for at in down)
        words = [
            _text(name, at, y0 + 10, "middle") for at, name in zip(across, x_names, strict=True)
        ]
        words += [
            _text(name, x0 - 4, at + 3, "end") for at, name in zip(down, y_names, strict=True)
        ]
        middle = (y0 + y1) / 2
        names = [
            _text(self.x_label, (x0 + x1) / 2, height - 4, "middle"),
            _text(self.y_label, 9, middle, "middle", f' transform="rotate(-90 9 {middle:.1f})"'),
        ]
        under = f'<path d="{lines}" style="stroke: {LINE}; stroke-width: 0.6; fill: none"/>'
        return under, f'<g font-size="8">{"".join(words)}</g><g font-size="9">{"".join(names)}</g>'


_FREE: list[Axes] = []
"""Axes that were drawn on and are done with: to make new ones takes longer than to draw on them."""


def _axes(height: float) -> Axes:
    """Bare axes with nothing on them, in a drawing of their own of this height in inches."""
    # Fixed margins, for letting matplotlib find them takes longer than all the rest.
    bottom, left = 0.44 / height, LEFT / WIDTH
    place = (left, bottom, 1 - left - RIGHT / WIDTH, 1 - bottom - 0.08 / height)
    if not _FREE:
        with mpl.rc_context(STYLE):
            # A figure of its own, not pyplot's, which would keep it.
            ax = Drawing(figsize=(WIDTH, height)).add_axes(place)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_visible(False)
        return ax
    ax = _FREE.pop()
    drawing: Any = ax.get_figure()
    drawing.set_size_inches(WIDTH, height)
    ax.set_position(place)
    for artist in (*ax.lines, *ax.collections, *ax.patches, *ax.texts):
        artist.remove()
    ax.set(xscale="linear", yscale="linear", aspect="auto", adjustable="box")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_prop_cycle(None)
    ax.relim()
    ax.autoscale(True)
    return ax


def _text(words: str, x: float, y: float, anchor: str, more: str = "") -> str:
    """One word or more in a drawing; nothing if there are none."""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {at}{more}>{html.escape(words, quote=False)}</text>" if words else ""


def _ticks(scale: str, low: float, high: float) -> tuple[list[float], list[str]]:
    """Where ticks are, and what they say."""
    low, high = sorted((low, high))
    locator: Any = MaxNLocator(5, steps=[1, 2, 5, 10])
    if scale == "log" and np.log10(high / low) > 1.3:
        locator = LogLocator(numticks=6)
    if len([v for v in locator.tick_values(low, high).tolist() if low <= v <= high]) < 2:
        locator = MaxNLocator(4)
    values = [v for v in locator.tick_values(low, high).tolist() if low <= v <= high]
    return values, [_tick(value) for value in values]


def _tick(value: float) -> str:
    if abs(value) < 1e-12 or 1e-3 <= abs(value) < 1e5:
        return f"{value + 0.0:.6g}".replace("-", "−")
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _inline(document: str, anchor: str, under: str, over: str) -> str:
    """The <svg> element alone: it scales, its identifiers are its own, its colours the page's.

    Half of what matplotlib writes is left out: metadata, identifiers of groups, which nothing
    refers to, the list of fonts with every word, digits of coordinates that nobody sees.
    """
    # Of the words in it so far none has a decimal point, whose digits would have to stay.
    document = re.sub(r"(?<=\d\.\d)\d+", "", document[document.index("<svg") :])
    head, found, rest = document.partition("</defs>")
    svg = f"{head}{found}{under}{rest}".replace("</svg>", f"{over}</svg>")
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = re.sub(r'<g id="[^"]+">', "<g>", svg)
    svg = re.sub(r"font-family: [^;\"]+; ", "", svg)
    svg = re.sub(r"(?<=\d) ?\n ?L (?=[-\d])", " ", svg)
    svg = re.sub(r" *\n *", "\n", svg)
    svg = re.sub(r'id="([^"]+)"', rf'id="{anchor}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{anchor}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{anchor}-\1)", svg)
    svg = re.sub(
        r"#[0-9a-f]{6}\b",
        lambda m: f"var(--{VARIABLES[m[0]]}, {m[0]})" if m[0] in VARIABLES else m[0],
        svg,
    )
    # Text that has no colour of its own takes the page's.
    root = f'<svg fill="var(--ink, {INK})" font-family="sans-serif" aria-hidden="true" '
    return svg.replace("<svg ", f'{root}focusable="false" ', 1)


def numbers(anchor: str, caption: str, canvases: Sequence[Canvas]) -> list[Table]:
    """A table for each panel: a column for each curve, and one for each of their abscissas."""
    tables = []
    for i, canvas in enumerate(canvases):
        columns: list[tuple[str, list[float | None]]] = []
        last: np.ndarray | None = None
        for one in canvas.series:
            if last is None or not np.array_equal(last, one.x):
                columns.append((one.x_name, one.x.tolist()))
                last = one.x
            columns.append((one.name, one.y.tolist()))
        if not columns:
            continue
        n = max(len(values) for _, values in columns)
        padded = [values + [None] * (n - len(values)) for _, values in columns]
        said = f"{caption}: {canvas.title}; of long curves at most {POINTS} points."
        tables.append(
            table_of_cells(
                f"{anchor}-numbers-{i}",
                said,
                [name for name, _ in columns],
                [[_short(v) for v in row] for row in zip(*padded, strict=True)],
                0,
            )
        )
    return tables


def _short(value: float | None) -> float | int | None:
    """Four digits, as they are shown; a whole number stays one."""
    if value is None or value != value:
        return None
    return int(value) if value == int(value) and abs(value) < 1e6 else float(f"{value:.4g}")
