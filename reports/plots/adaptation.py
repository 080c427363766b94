"""Adaptation: the learning rate under a gradient that stays, and the S-curve."""

import dataclasses
from typing import TYPE_CHECKING, Any

import seaborn as sns
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Table
from loptbench.reports.plots.canvas import Canvas, numbers
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import ARMS, optimizer

if TYPE_CHECKING:
    import pandas as pd

MAX_CURVE_POINTS = 100


def _arm(data: "pd.DataFrame", sign: float) -> "pd.DataFrame":
    """The settled states of one sign of the gradient, by |g|."""
    data = data[(data.gradient * sign > 0) & (data.rate_reference > 0)]
    return data.assign(size=data.gradient.abs()).sort_values("size")


def _rates(canvas: Canvas, group: Group, sign: float) -> None:
    data = _arm(group.frames["adaptation"], sign)
    canvas.curves(data, "size", "rate_reference", group.shown, group.bold)
    canvas.axes.set(xscale="log", yscale="log")
    own = group.learned("adaptation").gradient.abs()
    if own.size:
        canvas.axes.set_xlim(own.min() / 2, own.max() * 2)
    canvas.labels(f"|g|, {ARMS[sign > 0].name}", "η_ref(g)")


def _relative(canvas: Canvas, group: Group) -> None:
    for sign in (-1.0, 1.0):
        data = _arm(group.learned("adaptation"), sign)
        first = data.drop_duplicates("optimizer").set_index("optimizer").rate_reference
        data = data.assign(relative=data.rate_reference / data.optimizer.map(first))
        learned = dataclasses.replace(optimizer("learned"), dashes=ARMS[sign > 0].dashes)
        canvas.curves(data, "size", "relative", [learned], group.bold)
    canvas.axes.set_xscale("log")
    canvas.labels("|g|, both signs", "η_ref(g) / at the least |g|")


def _s_curve(canvas: Canvas, group: Group) -> None:
    data = group.learned("adaptation")
    data = data[data.optimizer.isin(group.bold) & data.pc1.notna()]
    if data.empty:
        return
    data = data.iloc[:: max(1, len(data) // MAX_CURVE_POINTS)]
    data = data.assign(arm=[ARMS[gradient > 0].name for gradient in data.gradient])
    sns.scatterplot(
        data,
        x="pc1",
        y="pc2",
        hue="arm",
        style="arm",
        palette={arm.name: arm.light for arm in ARMS},
        markers={arm.name: arm.marker for arm in ARMS},
        s=14,
        linewidth=0,
        legend=False,
        ax=canvas.axes,
    )
    canvas.labels("S-curve: PC 1", "PC 2")


def _signs() -> list[Any]:
    return [
        Line2D([], [], linestyle="", marker=arm.marker, color=arm.light, label=arm.name)
        for arm in ARMS
    ]


def _tables(anchor: str, frames: Frames) -> list[Table]:
    return [
        numbers(f"{anchor}-{task}", f"η_ref(g) on {task}", own, "gradient", "rate_reference")
        for task, own in frames["adaptation"].groupby("task", sort=False)
    ]


ADAPTATION = ProbeFigure(
    "adaptation",
    "The learning rate along the S-curve",
    ("adaptation",),
    {
        "rate, g < 0": lambda canvas, group: _rates(canvas, group, -1.0),
        "rate, g > 0": lambda canvas, group: _rates(canvas, group, 1.0),
        "learned ones, relative": _relative,
        "S-curve": _s_curve,
    },
    "For negative and for positive gradients, the learning rate of the state that a constant "
    "gradient leads to, over the gradient's size, on log axes; the same of learned optimizers "
    "alone, relative to the rate at the least gradient; and those states in their first two "
    "principal components, coloured by the gradient's sign.",
    "η_ref(g) = −D(h*(g), 0). A falling line is adaptation: −1 is RMSProp's slope. Among the "
    "learned ones alone, g < 0 is dashed. Gradients for which no fixed point was found are left "
    "out. Compare the paper's figure on learning-rate adaptation.",
    _tables,
    _signs,
)
