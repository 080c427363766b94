"""Update functions at several states of a line or a curve, of one learned optimizer."""

from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from loptbench.reports.plots.canvas import Canvas
from loptbench.reports.plots.mechanisms import Group
from loptbench.reports.plots.styles import ARMS, INK

MIDDLE = "at h*"
FAINTEST = 0.35
"""Opacity of the update function of the state that is nearest to the middle of its side."""


def updates(canvas: Canvas, group: Group, curve: str, name: str) -> None:
    """Draw one line for each state; the farther it is on the curve, the stronger.

    Args:
        canvas: the panel.
        group: its data, with the frame `updates_along_curves`.
        curve: the curve, as the frame names it.
        name: the column to draw, update or response.
    """
    data = group.learned("updates_along_curves")
    data = data[data.curve == curve]
    data = data.assign(response=data["update"] - data.update_at_zero)
    for tag, own in group.first_learned("updates_along_curves", data):
        places = np.unique(own["at"])
        for at, line in own.groupby("at"):
            side = places[np.sign(places) == np.sign(at)]
            rank = int(np.sum(np.abs(side) <= abs(at))) / max(1, len(side))
            color = INK if at == 0 else ARMS[int(at > 0)].light
            (drawn,) = canvas.axes.plot(
                line.gradient,
                line[name],
                color=color,
                linewidth=1.6,
                alpha=FAINTEST + (1 - FAINTEST) * rank,
            )
            canvas.tag(drawn, tag)


def signs(of: str, has_middle: bool) -> list[Any]:
    """The legend: what the states are named by, such as "a", and whether one is h* itself."""
    names = [arm.name.replace("g", of) for arm in ARMS]
    lines = [
        Line2D([], [], color=arm.light, linewidth=1.6, label=f"state of {name}")
        for arm, name in zip(ARMS, names, strict=True)
    ]
    middle = Line2D([], [], color=INK, linewidth=1.6, label=MIDDLE)
    return [*lines, middle] if has_middle else lines
