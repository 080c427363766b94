"""Schedule: the learning rate without gradients, and at the states of real runs."""

from typing import TYPE_CHECKING, Any

import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from loptbench.reports.page.elements import Table
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, numbers, thinned
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK
from loptbench.results.frames.schedule import AUTONOMOUS, MET

if TYPE_CHECKING:
    import pandas as pd

FIRST_STEP, LAST_STEP = "#5a4fcf", "#5cb85c"
"""The colours of the two ends of a trajectory; both can be seen on white and on black."""
BAND_ALPHA = 0.25
"""Opacity of the band between quartiles."""
RATE_MARGIN = 20.0
"""Rates more than this many times those of learned optimizers leave the panel."""


def _autonomous(data: "pd.DataFrame") -> "pd.DataFrame":
    return data[data.states == AUTONOMOUS]


def _rates(canvas: Canvas, group: Group) -> None:
    data = _autonomous(group.frames["schedules"])
    data = data[data.rate > 0]
    canvas.curves(data, "step", "rate", group.shown, group.bold)
    canvas.axes.set_yscale("log")
    # RMSProp without a gradient has a rate of millions, beside which all others look flat.
    learned = data[data.role == "checkpoint"].rate
    if learned.size:
        canvas.axes.set_ylim(learned.min() / RATE_MARGIN, learned.max() * RATE_MARGIN)
    canvas.labels("step without a gradient", "effective rate η[t]")


def _relative(canvas: Canvas, group: Group) -> None:
    data = _autonomous(group.learned("schedules"))
    first = data[data.step == 0].drop_duplicates("optimizer").set_index("optimizer").rate
    data = data.assign(relative=data.rate / data.optimizer.map(first))
    canvas.curves(data, "step", "relative", group.shown, group.bold)
    canvas.labels("step without a gradient", "η[t] / η[0]")


def _met(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: without gradients, and the median and quartiles on real runs."""
    data = group.learned("schedules")
    data = data[data.optimizer.isin(group.bold)]
    if data.empty:
        return
    learned = styles.optimizer("learned")
    met, alone = data[data.states == MET], _autonomous(data)
    axes = canvas.axes
    axes.fill_between(
        met.step.astype(float),
        met.low,
        met.high,
        color=learned.light,
        alpha=BAND_ALPHA,
        linewidth=0,
    )
    axes.plot(met.step, met.rate, color=learned.light, linewidth=learned.width)
    axes.plot(alone.step, alone.rate, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    canvas.labels("step, one learned optimizer", "effective rate η[t]")


def _trajectory(canvas: Canvas, group: Group) -> None:
    data = _autonomous(group.learned("schedules"))
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


def _signs() -> list[Any]:
    ends = {"first step": FIRST_STEP, "last step": LAST_STEP}
    learned = styles.optimizer("learned").light
    return [
        Line2D([], [], color=learned, linewidth=2.2, label="median on real runs"),
        Patch(color=learned, alpha=BAND_ALPHA, linewidth=0, label="quartiles on real runs"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="without gradients"),
        *(
            Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=name)
            for name, colour in ends.items()
        ),
    ]


def _tables(anchor: str, frames: Frames) -> list[Table]:
    tables = []
    for task, own in frames["schedules"].groupby("task", sort=False):
        for states, words in ((AUTONOMOUS, "without gradients"), (MET, "at the states of runs")):
            data = own[own.states == states]
            if len(data):
                name = f"{anchor}-{task}-{states}"
                caption = f"Learning rate η[t] on {task}, {words}"
                tables.append(numbers(name, caption, data, "step", "rate"))
    return tables


SCHEDULE = ProbeFigure(
    "schedule",
    "The learning rate over time",
    ("schedules",),
    {
        "without gradients": _rates,
        "learned ones, relative": _relative,
        "without gradients and met": _met,
        "autonomous trajectory": _trajectory,
    },
    "The effective learning rate along the trajectory that the state takes without a gradient; the "
    "same of learned optimizers alone, relative to their first; of one learned optimizer the same "
    "beside the median and the quartiles of the rate at the states of real runs; and the "
    "trajectory in its first two principal components, coloured by step.",
    "η[t] = −D(h[t], 0). A flat line is no schedule. Without gradients the rate follows the clock "
    "of the optimizer alone; at the states of real runs, gradients move it too. Rates more than "
    "twenty times those of learned optimizers leave the panel. Compare the paper's figure on "
    "learning-rate schedules.",
    _tables,
    _signs,
)
