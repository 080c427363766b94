"""Clipping: the update against the gradient in several states, over the gradients of real runs."""

from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from loptbench.reports.plots.canvas import Canvas, long
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, OPTIMIZERS
from loptbench.reports.plots.svg import Tag

if TYPE_CHECKING:
    import pandas as pd

START, CONVERGENCE_POINT = "h0", "h*"
LEARNED = OPTIMIZERS[0]
CURVES: dict[str, dict[str, Any]] = {
    "at h*": {"color": LEARNED.light, "linewidth": LEARNED.width},
    "at h0": {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2))},
    "at states of real runs": {"color": LEARNED.light, "linewidth": 0.6, "alpha": 0.5},
}
"""How the update functions at the kinds of states are drawn."""
HALF: dict[str, Any] = {"color": INK, "linestyle": "", "marker": "D", "markersize": 3}
"""The mark of half-saturation."""
N_HALVES = 3.0
"""The range of gradients shown, in half-saturations."""
MIN_BINS = 3
"""Bins of the histogram of gradients from which a density is drawn."""
SMOOTHING = 0.03
"""The bandwidth of the density, over the range of gradients shown."""
DENSITY_HEIGHT = 0.6
"""The highest density, over the height of the panel."""
SHADE: dict[str, Any] = {"color": INK, "alpha": 0.15, "linewidth": 0}


def _update_functions(frames: Frames) -> "pd.DataFrame":
    """The update function at h*; for an optimizer without gain there, at its middle state."""
    data = frames["update_functions"]

    def chosen(states: "pd.Series") -> str:
        names = list(dict.fromkeys(states))
        return CONVERGENCE_POINT if CONVERGENCE_POINT in names else names[len(names) // 2]

    where = data.groupby(["task", "optimizer"])["where"].transform(chosen)
    data = data[data["where"] == where]
    saturation = data["update"] / (data.gain * data.gradient)
    return data.assign(saturation=saturation).sort_values("gradient", kind="stable")


def _saturation(canvas: Canvas, group: Group) -> None:
    data = _update_functions(group.frames)
    data = data[data.gradient > 0]
    canvas.curves(data, "gradient", "saturation", group.shown, group.bold)
    canvas.axes.axhline(0.5, color=INK, linestyle=":", linewidth=1)
    canvas.axes.set(xscale="log", ylim=(-0.1, 1.6))


def _states(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: u(g) at h0, at h*, and at states of runs, over the gradients met."""
    density = dict(group.first_learned("gradient_density"))
    reach = 0.0
    for tag, data in group.first_learned("update_functions"):
        halves = _halves(data[data["where"] == CONVERGENCE_POINT])
        largest = data.gradient.abs().max()
        reach = max(reach, min(largest, N_HALVES * halves.max()) if len(halves) else largest)
        marks: list[tuple[float, float]] = []
        for where, own in data.sort_values("gradient").groupby("where", sort=False):
            kind = {START: "at h0", CONVERGENCE_POINT: "at h*"}.get(str(where))
            options = CURVES[kind or "at states of real runs"]
            (line,) = canvas.axes.plot(own.gradient, own["update"], **options)
            canvas.tag(line, tag)
            halves = _halves(own)
            gradients = np.where(halves.index == "negative", -1.0, 1.0) * halves.to_numpy()
            marks += zip(gradients, np.interp(gradients, own.gradient, own["update"]), strict=True)
        (points,) = canvas.axes.plot(*np.reshape(marks, (-1, 2)).T, **HALF)
        canvas.tag(points, tag)
    for tag, data in density.items():
        _density(canvas, tag, data, reach)
    if reach:
        canvas.axes.set_xlim(-reach, reach)
        inside = [
            np.asarray(line.get_ydata())[np.abs(np.asarray(line.get_xdata())) <= reach]
            for line in canvas.axes.lines
        ]
        low, high = np.min(np.concatenate(inside)), np.max(np.concatenate(inside))
        canvas.axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _halves(data: "pd.DataFrame") -> "pd.Series":
    """The gradients of half-saturation of one state, by arm, as far as they are finite."""
    halves = data.groupby("arm").half_saturation.first()
    return halves[np.isfinite(halves)]


def _density(canvas: Canvas, tag: Tag, data: "pd.DataFrame", reach: float) -> None:
    """The density of the gradients met that are in sight, with an axis of its own."""
    middle = np.sqrt(data.gradient_low * data.gradient_high)
    gradient = middle.where(data.arm == "positive", -middle)
    inside = (gradient.abs() <= reach) & (data.share > 0)
    if inside.sum() < MIN_BINS:
        return
    deviation = float(np.sqrt(np.cov(gradient[inside], aweights=data.share[inside])))
    axes = canvas.axes.twinx()
    axes.set_axis_off()
    n_before = len(axes.collections)
    sns.kdeplot(
        x=gradient[inside],
        weights=data.share[inside],
        bw_method=SMOOTHING * reach / deviation,
        cut=0,
        fill=True,
        warn_singular=False,
        ax=axes,
        **SHADE,
    )
    for artist in axes.collections[n_before:]:
        canvas.tag(artist, tag)
    axes.set_ylim(0, axes.get_ylim()[1] / DENSITY_HEIGHT)


def _numbers(frames: Frames) -> "pd.DataFrame":
    return long(_update_functions(frames), "gradient", "where", "update", "saturation")


def _signs() -> list[Any]:
    return [
        *(Line2D([], [], label=name, **options) for name, options in CURVES.items()),
        Line2D([], [], label="half-saturation", **HALF),
        Patch(label="density of the gradients met", **SHADE),
    ]


CLIPPING = ProbeFigure(
    "clipping",
    "The update against the gradient",
    ("update_functions", "gradient_density"),
    {
        "Update u(g) of one learned optimizer, against the gradient g": _states,
        "Saturation u(g) / (D g) at h*, against g > 0": _saturation,
    },
    "Of one learned optimizer the update against the gradient, at its initial state h0, at its "
    "convergence point h* and at states of real runs, over the density of gradients that it "
    "meets, with half-saturation marked; and the update of every optimizer over what a linear one "
    "would make of the gradient, with a dotted line at one half.",
    "A curve that flattens clips. At h*, or where an optimizer has no gain there, at a state from "
    "the middle of a run. Compare the "
    "paper's figure on gradient clipping.",
    _numbers,
    _signs,
)
