"""Schedule: the learning rate along the trajectory without a gradient."""

import seaborn as sns
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Table
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, numbers, thinned
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure

STEP_COLOURS = ("#443983", "#31688e", "#21918c", "#35b779", "#90d743")
"""The first to the last step of a trajectory; all can be seen on white and on black."""
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
    learned = styles.optimizer("learned")
    canvas.axes.plot(data.pc1, data.pc2, color=learned.light, linewidth=0.8)
    points = thinned(data, "step")
    palette = sns.color_palette(STEP_COLOURS, as_cmap=False)
    part = points.step.astype(float) / max(1.0, float(points.step.max()))
    points = points.assign(part=(part * (len(palette) - 1)).round().astype(int))
    sns.scatterplot(
        points,
        x="pc1",
        y="pc2",
        hue="part",
        palette=dict(enumerate(STEP_COLOURS)),
        s=9,
        linewidth=0,
        legend=False,
        ax=canvas.axes,
    )
    canvas.labels("autonomous trajectory: PC 1", "PC 2")


def _signs() -> list[Line2D]:
    names = {0: "trajectory, first step", -1: "trajectory, last step"}
    return [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=STEP_COLOURS[i], label=label)
        for i, label in names.items()
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
