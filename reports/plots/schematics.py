"""A sketch of each task."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from loptbench.reports.plots.canvas import Canvas
from loptbench.reports.plots.styles import INK, LINE, optimizer
from loptbench.tasks import get_task


def schematic(task: str) -> Canvas:
    """The sketch of a task, as the first panel of its figure."""
    canvas = Canvas("the task")
    canvas.axes.grid(visible=False)
    canvas.axes.set_position((0.03, 0.2, 0.94, 0.77))  # there are no ticks that need room
    canvas.axes.set(xticks=[], yticks=[])
    canvas.labels(SCHEMATICS[task](canvas.axes), "")
    return canvas


def _quadratic(ax: Axes) -> str:
    batch = get_task("quadratic").sample("evaluate", 0, [0])
    H = batch.arrays["H"][0][:2, :2]
    u, v = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 40))
    f = H[0, 0] * u**2 + 2 * H[0, 1] * u * v + H[1, 1] * v**2
    ax.contourf(u, v, np.sqrt(f), levels=9, cmap="viridis_r")
    return "two of the five parameters of a problem"


def _rosenbrock(ax: Axes) -> str:
    u, v = np.meshgrid(np.linspace(-2, 2, 50), np.linspace(-2, 2, 50))
    ax.contourf(u, v, np.log1p((1 - u) ** 2 + 100 * (v - u**2) ** 2), levels=9, cmap="viridis_r")
    ax.plot(1, 1, marker="*", color="white", markersize=10)
    return "starts are uniform in here; ★ minimum"


def _two_moons(ax: Axes) -> str:
    angle = np.linspace(0, np.pi, 40)
    moons = (np.cos(angle), np.sin(angle)), (1 - np.cos(angle), 0.5 - np.sin(angle))
    for (u, v), style in zip(moons, (optimizer("learned"), optimizer("sgd")), strict=True):
        ax.scatter(u, v, s=14, marker=style.marker, color=style.light)
    return "two classes of points in a plane, without noise"


def _digits(ax: Axes) -> str:
    width = 0.0
    layers = ((8, "image"), (4, "convolution,\ntanh"), (2, "convolution,\ntanh"), (5, "softmax"))
    for side, name in layers:
        wide = 0.6 if name == "softmax" else side
        ax.add_patch(Rectangle((width, -side / 2), wide, side, facecolor=LINE, edgecolor=INK))
        ax.text(width + wide / 2, side / 2 + 0.4, name, fontsize=7, ha="center")
        width += wide + 3.4
    ax.set_xlim(-0.6, width - 1.2)
    ax.set_ylim(-6, 6.5)
    return "minibatches of handwritten digits"


SCHEMATICS: dict[str, Callable[[Axes], str]] = {
    "quadratic": _quadratic,
    "rosenbrock": _rosenbrock,
    "two_moons": _two_moons,
    "digits": _digits,
}
