"""Momentum: the response to an impulse, and the eigenvalues at the convergence point."""

from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.reports.plots.canvas import Canvas, long
from loptbench.reports.plots.convergence import N_MODES, main_modes
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, optimizer
from loptbench.reports.plots.updates import signs, updates
from loptbench.results.frames.views import MODE

if TYPE_CHECKING:
    import pandas as pd

MAX_LAG = 60
MAX_RESPONSE = 4.0
"""The range of the relative response that a panel shows."""
MARKED = {"momentum": "β", "theoretical momentum": "β*"}
"""Baselines whose β is marked beside the eigenvalues, and its label."""
MARGIN = 0.08
"""Room around the eigenvalues, in their own unit."""


def _impulse_response(canvas: Canvas, group: Group) -> None:
    data = group.frames["impulse_responses"]
    first = data[data.lag == 0].set_index(["optimizer"]).response
    first = first[~first.index.duplicated()]
    data = data[data.lag <= MAX_LAG]
    data = data.assign(relative=data.response / data.optimizer.map(first))
    canvas.curves(data, "lag", "relative", group.shown, group.bold)
    low, high = canvas.axes.get_ylim()
    canvas.axes.set_ylim(max(low, -MAX_RESPONSE), min(high, MAX_RESPONSE))


def _eigenvalues(canvas: Canvas, group: Group) -> None:
    """All eigenvalues, zoomed, with the arc of the unit circle that is in sight."""
    data = group.frames["modes"]
    data = data[data.role.isin(["checkpoint", "tuned", "adapted"])]
    if data.empty:
        return
    data = main_modes(data)
    axes = canvas.axes
    tuning = group.frames["tuning"]
    tuning = tuning[tuning.hyperparameter == "beta"].drop_duplicates("baseline")
    betas = tuning.set_index("baseline").value
    for name, label in MARKED.items():
        if name in betas.index:
            axes.axvline(betas[name], color=optimizer(name).light, linewidth=1, linestyle=":")
            axes.annotate(
                label,
                (betas[name], 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                fontsize=9,
                color=INK,
            )
    canvas.points(data, "eigenvalue_real", "eigenvalue_imag", group.shown)
    low = min(data.eigenvalue_real.min() - MARGIN, 1 - 4 * MARGIN)
    height = data.eigenvalue_imag.abs().max() + MARGIN
    circle = np.exp(1j * np.linspace(-np.pi, np.pi, 400))
    inside = (circle.real >= low) & (np.abs(circle.imag) <= height)
    circle = np.where(inside, circle, np.nan)
    axes.plot(circle.real, circle.imag, color=INK, linewidth=0.8)
    axes.set(xlim=(low, 1 + MARGIN), ylim=(-height, height))


def _updates(canvas: Canvas, group: Group) -> None:
    updates(canvas, group, MODE, "update")


def _signs() -> list[Any]:
    return signs("a", has_middle=True)


def _numbers(frames: Frames) -> "pd.DataFrame":
    data = frames["impulse_responses"]
    return long(data[data.lag <= MAX_LAG], "lag", "response")


MOMENTUM = ProbeFigure(
    "momentum",
    "Momentum at the convergence point",
    ("impulse_responses", "modes", "tuning", "updates_along_curves"),
    {
        "Impulse response κ[t] / κ[0], against the steps t after the impulse": _impulse_response,
        "Eigenvalues of A, imaginary against real part, near the unit circle": _eigenvalues,
        "Update U(h* + a v, g) of one learned optimizer along its strongest mode v, against the "
        "gradient g": _updates,
    },
    "The response to a gradient impulse over the steps after it, relative to the first, and the "
    "eigenvalues of A in the complex plane near 1, with an arc of the unit circle; and the update "
    "against the gradient at states along the mode that contributes most.",
    f"Drawn are the {N_MODES} strongest modes of each seed. What comes after the first step is "
    "momentum: the index is 1 − κ[0]/Σκ. Dotted lines: β of "
    "tuned momentum, β* of theory. Compare the paper's figure on momentum. A state along "
    "the mode moves the update up or down, whatever the gradient; the farther, the stronger its "
    "line.",
    _numbers,
    _signs,
)
