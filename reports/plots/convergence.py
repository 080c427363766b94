"""Convergence: the state without a gradient, and the modes of its linear dynamics."""

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from loptbench.reports.plots.canvas import Canvas, long
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, PAPER, optimizer
from loptbench.results.frames.schedule import AUTONOMOUS

if TYPE_CHECKING:
    import pandas as pd

N_MODES = 10
"""Modes of each optimizer that are drawn."""
ENDS: dict[str, dict[str, Any]] = {
    "h0": {"marker": "s", "markersize": 5, "markerfacecolor": PAPER, "markeredgecolor": INK},
    "after T steps": {"marker": "o", "markersize": 6, "markeredgecolor": INK},
}
"""The marks of the two ends of a trajectory."""
START: dict[str, Any] = {"marker": "o", "markersize": 3.5}
POINT: dict[str, Any] = {"marker": "*", "markersize": 9, "color": INK, "zorder": 5}
"""The marks of a path's start and of the convergence point."""
SHARES = ["trajectory_variance_1", "trajectory_variance_2"]
"""The shares of the variance of the principal components of the path from h0."""


def main_modes(modes: "pd.DataFrame") -> "pd.DataFrame":
    """The modes of each optimizer that contribute most to its impulse response, by size."""
    modes = modes.assign(contribution=modes.contribution.abs())
    modes = modes.sort_values("contribution", ascending=False, kind="stable")
    return modes.groupby("optimizer", sort=False).head(N_MODES)


def _trajectory(canvas: Canvas, group: Group) -> None:
    """The path of the state without a gradient; each optimizer has axes of its own."""
    colour = optimizer("learned").light
    shares = group.learned("mechanisms")
    shares = shares[(shares.probe == "schedule") & shares.quantity.isin(SHARES)]
    shares = shares.pivot_table("value", "optimizer", "quantity", aggfunc="first")
    for tag, own in group.first_learned("schedules"):
        own = own[own.states == AUTONOMOUS]
        lines = canvas.axes.plot(own.pc1, own.pc2, color=colour, linewidth=1.2)
        for place, mark in zip((0, -1), ENDS.values(), strict=True):
            lines += canvas.axes.plot(
                own.pc1.iloc[place],
                own.pc2.iloc[place],
                **{"color": colour, "linestyle": "", "zorder": 4, **mark},
            )
        for line in lines:
            canvas.tag(line, tag)
        if tag.seed in shares.index:
            canvas.explained(tag, *shares.loc[tag.seed, SHARES])


def _paths(canvas: Canvas, group: Group) -> None:
    """Paths without a gradient, from states of real runs to the convergence point."""
    colour = optimizer("learned").light
    for tag, own in group.first_learned("paths"):
        lines: list[Any] = []
        for _, path in own.groupby("start"):
            path = path.sort_values("step")
            lines += canvas.axes.plot(path.pc1, path.pc2, color=colour, linewidth=1, alpha=0.7)
            lines += canvas.axes.plot(
                path.pc1.iloc[0], path.pc2.iloc[0], color=colour, linestyle="", **START
            )
        first = own.iloc[0]
        lines += canvas.axes.plot(first.point_pc1, first.point_pc2, linestyle="", **POINT)
        for line in lines:
            canvas.tag(line, tag)
        canvas.explained(tag, first.variance_1, first.variance_2)


def _modes(canvas: Canvas, group: Group) -> None:
    data = group.frames["modes"]
    data = data[(data.timescale > 0) & data.role.isin(["checkpoint", "tuned", "adapted"])]
    data = main_modes(data[data.contribution != 0])
    canvas.points(data, "timescale", "contribution", group.shown)
    if len(data):
        canvas.axes.set(xscale="log", yscale="log")


def _signs() -> list[Any]:
    colour = optimizer("learned").light
    return [
        Line2D([], [], **{"color": colour, "linestyle": "", "label": name, **mark})
        for name, mark in {**ENDS, "state of a real run": START, "h*": POINT}.items()
    ]


def _numbers(frames: Frames) -> "pd.DataFrame":
    data = frames["schedules"]
    data = data[(data.states == AUTONOMOUS) & (data.role == "checkpoint")]
    return long(data, "step", "pc1", "pc2")


CONVERGENCE = ProbeFigure(
    "convergence",
    "The way to the convergence point, and the modes there",
    ("schedules", "modes", "paths", "mechanisms"),
    {
        "State without a gradient, PC 2 against PC 1, one learned optimizer": _trajectory,
        "The same around the convergence point h*, from states of real runs": _paths,
        "Share of a mode in the impulse response |κ|, against its time scale in steps": _modes,
    },
    "The path of the state of one learned optimizer without a gradient, from h0 and from states of "
    "real runs, in its first two principal components; and each mode of the linear dynamics at the "
    "convergence point, its contribution to the impulse response against its time scale.",
    f"Drawn are the {N_MODES} strongest modes of each seed. Steps that become short end in a "
    "convergence point. Compare the paper's figures on "
    "convergence and linear dynamics.",
    _numbers,
    _signs,
)
