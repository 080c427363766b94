"""Schedule: the learning rate along the trajectory without a gradient."""

import seaborn as sns
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Table
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, numbers, thinned
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure

FIRST_STEP, LAST_STEP = "#5a4fcf", "#5cb85c"
"""The colours of the two ends of a trajectory; both can be seen on white and on black."""
RATE_MARGIN = 20.0
"""Rates more than this many times those of learned optimizers leave the panel."""


def _rates(canvas: Canvas, group: Group) -> None:
    data = group.frames["schedules"]
    data = data[data.rate > 0]
    canvas.curves(data, "step", "rate", group.shown, group.bold)
    canvas.axes.set_yscale("log")
    # RMSProp without a gradient has a rate of millions, beside which all others look flat.
    learned = data[data.role == "checkpoint"].rate
    if learned.size:
        canvas.axes.set_ylim(learned.min() / RATE_MARGIN, learned.max() * RATE_MARGIN)
    canvas.labels("step without a gradient", "effective rate η[t]")


def _relative(canvas: Canvas, group: Group) -> None:
    data = group.learned("schedules")
    first = data[data.step == 0].drop_duplicates("optimizer").set_index("optimizer").rate
    data = data.assign(relative=data.rate / data.optimizer.map(first))
    canvas.curves(data, "step", "relative", group.shown, group.bold)
    canvas.labels("step without a gradient", "η[t] / η[0]")


def _trajectory(canvas: Canvas, group: Group) -> None:
    data = group.learned("schedules")
    data = data[data.optimizer.isin(group.bold)]
    if data.empty:
        return
    learned = styles.optimizer("learned")
    canvas.axes.plot(data.pc1, data.pc2, color=learned.light, linewidth=0.8)
    points = thinned(data, "step")
    sns.scatterplot(
        points,
        x="pc1",
        y="pc2",
        hue="step",
        palette=f"blend:{FIRST_STEP},{LAST_STEP}",
        s=9,
        linewidth=0,
        legend=False,
        ax=canvas.axes,
    )
    canvas.labels("autonomous trajectory: PC 1", "PC 2")


def _signs() -> list[Line2D]:
    ends = {"first step": FIRST_STEP, "last step": LAST_STEP}
    return [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=name)
        for name, colour in ends.items()
    ]


def _tables(anchor: str, frames: Frames) -> list[Table]:
    return [
        numbers(f"{anchor}-{task}", f"Learning rate η[t] on {task}", own, "step", "rate")
        for task, own in frames["schedules"].groupby("task", sort=False)
    ]


SCHEDULE = ProbeFigure(
    "schedule",
    "The learning rate along the autonomous trajectory",
    ("schedules",),
    {
        "effective learning rate": _rates,
        "learned ones, relative": _relative,
        "autonomous trajectory": _trajectory,
    },
    "The effective learning rate along the trajectory that the state takes without a gradient, the "
    "same of learned optimizers alone, relative to their first, and that trajectory in its first "
    "two principal components, coloured by step.",
    "η[t] = −D(h[t], 0). A flat line is no schedule. Rates more than twenty times those of learned "
    "optimizers leave the panel. Compare the paper's figure on learning-rate schedules.",
    _tables,
    _signs,
)
