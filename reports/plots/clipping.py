"""Clipping: the update against the gradient, and the gradients of real runs."""

from typing import TYPE_CHECKING

import numpy as np

from loptbench.reports.page.elements import Table
from loptbench.reports.plots.canvas import Canvas, numbers
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, OPTIMIZERS

if TYPE_CHECKING:
    import pandas as pd

CONVERGENCE_POINT = "h*"


def _update_functions(frames: Frames) -> "pd.DataFrame":
    """The update function at h*; for an optimizer without gain there, at its middle state."""
    data = frames["update_functions"]

    def chosen(states: "pd.Series") -> str:
        names = list(dict.fromkeys(states))
        return CONVERGENCE_POINT if CONVERGENCE_POINT in names else names[len(names) // 2]

    where = data.groupby(["task", "optimizer"])["where"].transform(chosen)
    data = data[data["where"] == where]
    return data.assign(saturation=data["update"] / (data.gain * data.gradient)).sort_values(
        "gradient"
    )


def _saturation(canvas: Canvas, group: Group) -> None:
    data = _update_functions(group.frames)
    _gradient_axis(canvas, data)
    canvas.curves(data, "gradient", "saturation", group.shown, group.bold)
    canvas.axes.axhline(0.5, color=INK, linestyle=":", linewidth=1)
    canvas.axes.set_ylim(-0.1, 1.6)
    canvas.labels("gradient g (symlog)", "s(g) = u(g) / D g")


def _density(canvas: Canvas, group: Group) -> None:
    _gradient_axis(canvas, _update_functions(group.frames))
    data = group.learned("gradient_density")
    data = data[data.optimizer.isin(group.bold)]
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


CLIPPING = ProbeFigure(
    "clipping",
    "The update against the gradient",
    ("update_functions", "gradient_density"),
    {"saturation": _saturation, "gradients met": _density},
    "The update over what a linear optimizer would make of the gradient, which falls where it "
    "saturates, with a dotted line at one half, and the gradients that the learned optimizer "
    "meets.",
    "At the convergence point; where an optimizer has no gain there, at a state from the middle of "
    "a run. Half-saturation is where the curve crosses the dotted line. An axis called symlog is "
    "logarithmic on both sides of a linear part around 0. Compare the paper's figure on gradient "
    "clipping.",
    _tables,
)
