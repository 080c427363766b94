"""Schedule: the learning rate without gradients, and at the states of real runs."""

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from loptbench.reports.plots.canvas import Canvas, long
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import INK, optimizer
from loptbench.results.frames.schedule import AUTONOMOUS, MET

if TYPE_CHECKING:
    import pandas as pd

BAND_ALPHA = 0.25
"""Opacity of the band between quartiles."""
ALONE: dict[str, Any] = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2))}
ROOM = 1.2
"""The top of the panel over the highest relative rate of a learned optimizer."""


def _relative(canvas: Canvas, group: Group) -> None:
    data = group.frames["schedules"]
    data = data[data.states == AUTONOMOUS]
    first = data[data.step == 0].drop_duplicates("optimizer").set_index("optimizer").rate
    data = data.assign(relative=data.rate / data.optimizer.map(first))
    canvas.curves(data, "step", "relative", group.shown, group.bold)
    learned = data.relative[data.role == "checkpoint"]
    if learned.notna().any():
        # RMSProp without a gradient has a rate of millions, beside which all others look flat.
        canvas.axes.set_ylim(min(0.0, learned.min()), ROOM * max(1.0, learned.max()))


def _met(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: without gradients, and the median and quartiles on real runs."""
    learned = optimizer("learned")
    axes = canvas.axes
    for tag, data in group.first_learned("schedules"):
        met, alone = data[data.states == MET], data[data.states == AUTONOMOUS]
        step = met.step.astype(float)
        artists: list[Any] = [
            axes.fill_between(
                step, met.low, met.high, color=learned.light, alpha=BAND_ALPHA, linewidth=0
            ),
            *axes.plot(met.step, met.rate, color=learned.light, linewidth=learned.width),
            *axes.plot(alone.step, alone.rate, **ALONE),
        ]
        for artist in artists:
            canvas.tag(artist, tag)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def _signs() -> list[Any]:
    learned = optimizer("learned").light
    return [
        Line2D([], [], color=learned, linewidth=2.2, label="median on real runs"),
        Patch(color=learned, alpha=BAND_ALPHA, linewidth=0, label="quartiles on real runs"),
        Line2D([], [], label="without gradients", **ALONE),
    ]


def _numbers(frames: Frames) -> "pd.DataFrame":
    import pandas as pd

    data = frames["schedules"]
    parts = [
        long(data[data.states == states], "step", "states", "rate", "low", "high")
        for states in (AUTONOMOUS, MET)
    ]
    return pd.concat(parts)


SCHEDULE = ProbeFigure(
    "schedule",
    "The learning rate over time",
    ("schedules",),
    {
        "Rate without a gradient η[t] / η[0], against the step t": _relative,
        "Rate η[t] of one learned optimizer, against the step t": _met,
    },
    "The effective learning rate along the trajectory that the state takes without a gradient, "
    "relative to its first; of one learned optimizer the same, beside the median and the quartiles "
    "of the rate at the states of real runs.",
    "η[t] = −D(h[t], 0). A flat line is no schedule. Tuned baselines whose rate grows beyond all "
    "learned ones leave the panel. Compare the paper's figure on learning-rate schedules.",
    _numbers,
    _signs,
)
