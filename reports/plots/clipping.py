"""Clipping: the update against the gradient, in several states, and the gradients of real runs."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Table
from loptbench.reports.plots.canvas import Canvas, numbers
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, OPTIMIZERS

if TYPE_CHECKING:
    import pandas as pd

START, CONVERGENCE_POINT = "h0", "h*"
MET_WIDTH, MET_ALPHA = 0.6, 0.5
"""Width and opacity of the curves of states met on real runs."""
START_DASHES = (0, (4, 2))


def _saturations(data: "pd.DataFrame") -> "pd.DataFrame":
    """Update functions with s(g) in the column `saturation`, by gradient."""
    saturation = data["update"] / (data.gain * data.gradient)
    return data.assign(saturation=saturation).sort_values("gradient", kind="stable")


def _update_functions(frames: Frames) -> "pd.DataFrame":
    """The update function at h*; for an optimizer without gain there, at its middle state."""
    data = frames["update_functions"]

    def chosen(states: "pd.Series") -> str:
        names = list(dict.fromkeys(states))
        return CONVERGENCE_POINT if CONVERGENCE_POINT in names else names[len(names) // 2]

    where = data.groupby(["task", "optimizer"])["where"].transform(chosen)
    return _saturations(data[data["where"] == where])


def _saturation(canvas: Canvas, group: Group) -> None:
    data = _update_functions(group.frames)
    _gradient_axis(canvas, data)
    canvas.curves(data, "gradient", "saturation", group.shown, group.bold)
    _half(canvas)


def _half(canvas: Canvas) -> None:
    canvas.axes.axhline(0.5, color=INK, linestyle=":", linewidth=1)
    canvas.axes.set_ylim(-0.1, 1.6)
    canvas.labels("gradient g (symlog)", "s(g) = u(g) / D g")


def _states(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: the update function at h0, at h*, and at states of real runs."""
    data = group.learned("update_functions")
    data = _saturations(data[data.optimizer.isin(group.bold)])
    if data.empty:
        return
    _gradient_axis(canvas, _update_functions(group.frames))
    for where, own in data.groupby("where", sort=False):
        options: dict[str, Any] = {"color": OPTIMIZERS[0].light, "linewidth": OPTIMIZERS[0].width}
        if where == START:
            options = {"color": INK, "linewidth": 1.2, "linestyle": START_DASHES}
        elif where != CONVERGENCE_POINT:
            options |= {"linewidth": MET_WIDTH, "alpha": MET_ALPHA}
        canvas.axes.plot(own.gradient, own.saturation, **options)
    _half(canvas)


def _density(canvas: Canvas, group: Group) -> None:
    data = group.learned("gradient_density")
    data = data[data.optimizer.isin(group.bold)]
    if data.empty:
        return
    _gradient_axis(canvas, _update_functions(group.frames))
    for arm, own in data.groupby("arm"):
        sign = -1.0 if arm == "negative" else 1.0
        middle = sign * np.sqrt(own.gradient_low * own.gradient_high)
        canvas.axes.fill_between(
            middle, own.share, color=OPTIMIZERS[0].light, alpha=0.5, step="mid", linewidth=0
        )
    canvas.labels("gradient g (symlog)", "share of gradients met")


def _gradient_axis(canvas: Canvas, data: "pd.DataFrame") -> None:
    """Logarithmic on both sides of the smallest gradient; the first optimizer sets the range."""
    first = data[data.optimizer == data.optimizer.iloc[0]].gradient.abs()
    smallest, largest = float(first.min()), float(first.max())
    canvas.axes.set_xscale("symlog", linthresh=smallest)
    canvas.axes.set_xlim(-largest, largest)
    ends = np.log10(smallest), np.log10(largest)
    decades = 10.0 ** np.unique(np.linspace(*ends, 3).round()[1:])
    canvas.axes.set_xticks([*-decades[::-1], 0.0, *decades])


def _tables(anchor: str, frames: Frames) -> list[Table]:
    data = _update_functions(frames)
    return [
        numbers(f"{anchor}-{task}", f"Saturation s(g) on {task}", own, "gradient", "saturation")
        for task, own in data.groupby("task", sort=False)
    ]


def _signs() -> list[Any]:
    learned = OPTIMIZERS[0]
    return [
        Line2D([], [], color=learned.light, linewidth=learned.width, label="at h*"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle=START_DASHES, label="at h0"),
        Line2D(
            [],
            [],
            color=learned.light,
            linewidth=MET_WIDTH,
            alpha=MET_ALPHA,
            label="at states of real runs",
        ),
    ]


CLIPPING = ProbeFigure(
    "clipping",
    "The update against the gradient",
    ("update_functions", "gradient_density"),
    {
        "saturation at h*": _saturation,
        "saturation at other states": _states,
        "gradients met": _density,
    },
    "The update over what a linear optimizer would make of the gradient, which falls where it "
    "saturates, with a dotted line at one half; of one learned optimizer the same at its initial "
    "state h0, at its convergence point h* and at states of real runs; and the gradients that the "
    "learned optimizer meets.",
    "At the convergence point; where an optimizer has no gain there, at a state from the middle of "
    "a run. Half-saturation is where the curve crosses the dotted line. How much of the updates of "
    "real runs saturation takes away is the saturation loss, among the numbers below. An axis "
    "called symlog is logarithmic on both sides of a linear part around 0. Compare the paper's "
    "figure on gradient clipping.",
    _tables,
    _signs,
)
