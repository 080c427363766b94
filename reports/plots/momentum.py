"""Momentum: the response to an impulse, and the eigenvalues at the convergence point."""

import numpy as np
import seaborn as sns

from loptbench.reports.page.elements import Table
from loptbench.reports.plots.canvas import Canvas, numbers
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK

MAX_LAG = 60
MAX_RESPONSE = 4.0
"""The range of the relative response that a panel shows."""


def _impulse_response(canvas: Canvas, group: Group) -> None:
    data = group.frames["impulse_responses"]
    first = data[data.lag == 0].set_index(["optimizer"]).response
    first = first[~first.index.duplicated()]
    data = data[data.lag <= MAX_LAG]
    data = data.assign(relative=data.response / data.optimizer.map(first))
    canvas.curves(data, "lag", "relative", group.shown, group.bold)
    low, high = canvas.axes.get_ylim()
    canvas.axes.set_ylim(max(low, -MAX_RESPONSE), min(high, MAX_RESPONSE))
    canvas.labels("steps after the impulse", "κ[t] / κ[0]")


def _eigenvalues(canvas: Canvas, group: Group) -> None:
    data = group.frames["modes"]
    data = data[data.optimizer.isin(group.bold)]
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    canvas.axes.plot(circle.real, circle.imag, color=INK, linewidth=0.8)
    if not data.empty:  # seaborn warns of a palette without colours to give
        sns.scatterplot(
            data,
            x="eigenvalue_real",
            y="eigenvalue_imag",
            hue="series",
            style="series",
            palette={style.name: style.light for style in group.shown},
            markers={style.name: style.marker for style in group.shown},
            s=22,
            alpha=0.7,
            linewidth=0,
            legend=False,
            ax=canvas.axes,
        )
    canvas.axes.set_aspect("equal", adjustable="datalim")
    canvas.labels("eigenvalues: real part", "imaginary part")


def _tables(anchor: str, frames: Frames) -> list[Table]:
    tables = []
    for task, own in frames["impulse_responses"].groupby("task", sort=False):
        own = own[own.lag <= MAX_LAG]
        caption = f"Impulse response κ on {task}"
        tables.append(numbers(f"{anchor}-{task}", caption, own, "lag", "response"))
    return tables


MOMENTUM = ProbeFigure(
    "momentum",
    "Momentum at the convergence point",
    ("impulse_responses", "modes"),
    {"impulse response": _impulse_response, "eigenvalues": _eigenvalues},
    "The response to a gradient impulse over the steps after it, relative to the first, and the "
    "eigenvalues of A in the complex plane with the unit circle.",
    "What comes after the first step is momentum: the index is 1 − κ[0]/Σκ. Slow modes have "
    "eigenvalues near 1. Compare the paper's figure on momentum.",
    _tables,
)
