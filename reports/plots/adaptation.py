"""Adaptation: the learning rate under a gradient that stays, and the S-curve."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from loptbench.reports.page.elements import Table
from loptbench.reports.plots.canvas import Canvas, numbers
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import ARMS, INK, PAPER, Style
from loptbench.results.frames.adaptation import ADAPTED, EXACT

if TYPE_CHECKING:
    import pandas as pd

N_TICKS = 5
"""Labels of an axis of gradients."""
MAX_CURVE_POINTS = 100
"""Adapted states of an S-curve that are drawn."""
MAX_FIXED_POINTS = 14
"""Exact fixed points of an arm, or half of those of an S-curve, that are drawn."""
MAX_LINEAR_RANGE = 20.0
"""Highest rate over lowest up to which one optimizer's rates have a linear axis from 0."""
MAX_CHANGE = 0.05
"""Rates that change by more than this share in another T steps are marked."""
RATE_MARGIN = 100.0
"""Rates more than this many times those of learned optimizers leave the panel."""
LATER_ALPHA = 0.4
"""Opacity of the curve after 2 T steps."""
QUANTILES = {"q50": "typical_gradient", "q99": "large_gradient"}
"""The gradients between which the adaptation ratio is formed, and their names in the results."""


def _states(data: "pd.DataFrame", kind: str, sign: float = 0.0) -> "pd.DataFrame":
    """The states of one kind, of one sign of the gradient if it is given, by |g|."""
    data = data[data.states == kind]
    if sign:
        data = data[data.gradient * sign > 0]
    return data.assign(size=data.gradient.abs()).sort_values("size", kind="stable")


def _first(group: Group) -> "pd.DataFrame":
    """The states of the learned optimizer that is drawn thick."""
    data = group.learned("adaptation")
    return data[data.optimizer.isin(group.bold)]


def _quantiles(group: Group) -> dict[str, float]:
    """The gradients q50 and q99 that this learned optimizer meets."""
    data = group.learned("mechanisms")
    data = data[data.optimizer.isin(group.bold) & (data.probe == "adaptation")]
    values = data.set_index("quantity").value
    return {
        label: float(values[name])
        for label, name in QUANTILES.items()
        if name in values.index and values[name] > 0
    }


def _rate_axes(canvas: Canvas, group: Group) -> None:
    """Logarithmic axes over the learned optimizers' gradients, with lines at q50 and q99."""
    canvas.axes.set(xscale="log", yscale="log")
    size = group.learned("adaptation").gradient.abs()
    size = size[size > 0]
    if size.size:
        canvas.axes.set_xlim(size.min() / 2, size.max() * 2)
        canvas.axes.xaxis.set_major_locator(LogLocator(numticks=N_TICKS))
    for label, gradient in _quantiles(group).items():
        canvas.axes.axvline(gradient, color=INK, linestyle=":", linewidth=0.8)
        canvas.axes.annotate(
            label,
            (gradient, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-2, -1),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7,
            color=INK,
        )


def _rates(canvas: Canvas, group: Group, sign: float) -> None:
    data = _states(group.frames["adaptation"], ADAPTED, sign)
    canvas.curves(data[data.rate_reference > 0], "size", "rate_reference", group.shown, group.bold)
    _rate_axes(canvas, group)
    # RMSProp after tiny gradients has a rate of millions, beside which all others look flat.
    learned = _states(group.learned("adaptation"), ADAPTED).rate_reference
    learned = learned[learned > 0]
    if learned.size:
        canvas.axes.set_ylim(learned.min() / RATE_MARGIN, learned.max() * RATE_MARGIN)
    canvas.labels(f"|g|, {ARMS[sign > 0].name}", "η_ref(g) after T steps")


def _horizons(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: both arms, after T and after 2 T steps, and its exact fixed points."""
    if _first(group).empty:
        return
    quantiles = _quantiles(group)
    for arm, sign in zip(ARMS, (-1.0, 1.0), strict=True):
        adapted = _states(_first(group), ADAPTED, sign)
        for column, alpha in (("rate_reference_2T", LATER_ALPHA), ("rate_reference", 1.0)):
            values = adapted[adapted[column] > 0]
            canvas.axes.plot(
                values["size"], values[column], color=arm.light, linewidth=1.4, alpha=alpha
            )
        positive = adapted[adapted.rate_reference > 0]
        changing = positive[positive.remaining_change > MAX_CHANGE]
        cycling = positive[positive.cycling.fillna(False).astype(bool)]
        _marks(canvas, changing, arm, "x")
        _marks(canvas, cycling, arm, "+")
        _fixed_points(canvas, _states(_first(group), EXACT, sign), arm)
        if len(positive):
            for gradient in quantiles.values():
                rate = _at(positive, gradient)
                canvas.axes.plot(
                    gradient, rate, marker="D", markersize=5, color=arm.light, markeredgecolor=INK
                )
    _rate_axes(canvas, group)
    low, high = canvas.axes.dataLim.intervaly
    if 0 < high <= MAX_LINEAR_RANGE * low:
        canvas.axes.set(yscale="linear", ylim=(0, 1.1 * high))
    canvas.labels("|g|, one learned optimizer", "η_ref(g)")


def _at(states: "pd.DataFrame", gradient: float) -> float:
    """The rate at a gradient, between neighbours by a power law."""
    logs = np.log(states["size"]), np.log(states.rate_reference)
    return float(np.exp(np.interp(np.log(gradient), *logs)))


def _marks(canvas: Canvas, states: "pd.DataFrame", arm: Style, marker: str) -> None:
    states = _some(states, MAX_FIXED_POINTS)
    canvas.axes.plot(
        states["size"],
        states.rate_reference,
        linestyle="",
        marker=marker,
        markersize=4,
        color=arm.light,
    )


def _fixed_points(canvas: Canvas, states: "pd.DataFrame", arm: Style) -> None:
    states = _some(states[states.rate_reference > 0], MAX_FIXED_POINTS)
    _points(canvas, states, "size", "rate_reference", arm)


def _points(canvas: Canvas, states: "pd.DataFrame", x: str, y: str, arm: Style) -> None:
    """Exact fixed points as circles: filled if stable, hollow if not."""
    is_stable = states.stable.fillna(False).astype(bool)
    for own, filling in ((states[is_stable], arm.light), (states[~is_stable], PAPER)):
        canvas.axes.plot(
            own[x],
            own[y],
            linestyle="",
            marker="o",
            markersize=3.6,
            markerfacecolor=filling,
            markeredgecolor=arm.light,
            markeredgewidth=1,
            zorder=3,
        )


def _some(states: "pd.DataFrame", n_most: int) -> "pd.DataFrame":
    """At most about this many states, evenly spaced."""
    return states.iloc[:: max(1, -(-len(states) // n_most))]


def _s_curve(canvas: Canvas, group: Group) -> None:
    if _first(group).empty:
        return
    for arm, sign in zip(ARMS, (-1.0, 1.0), strict=True):
        adapted = _states(_first(group), ADAPTED, sign).dropna(subset=["pc1", "pc2"])
        adapted = _some(adapted, MAX_CURVE_POINTS // 2)
        canvas.axes.plot(
            adapted.pc1, adapted.pc2, color=arm.light, linewidth=0.8, marker=".", markersize=3
        )
        exact = _states(_first(group), EXACT, sign).dropna(subset=["pc1", "pc2"])
        _points(canvas, _some(exact, MAX_FIXED_POINTS), "pc1", "pc2", arm)
    canvas.labels("S-curve: PC 1", "PC 2")


def _signs() -> list[Any]:
    lines = [Line2D([], [], color=arm.light, linewidth=1.4, label=arm.name) for arm in ARMS]
    lines.append(
        Line2D([], [], color=INK, alpha=LATER_ALPHA, linewidth=1.4, label="after 2 T steps")
    )
    marks: dict[str, dict[str, Any]] = {
        "rate at q50, q99": {"marker": "D", "markersize": 5},
        "stable fixed point": {"marker": "o", "markersize": 3.6},
        "unstable fixed point": {"marker": "o", "markersize": 3.6, "markerfacecolor": PAPER},
        "rate still changes": {"marker": "x", "markersize": 4},
        "cycles": {"marker": "+", "markersize": 5},
    }
    lines += [
        Line2D([], [], linestyle="", color=INK, label=label, **mark)
        for label, mark in marks.items()
    ]
    return lines


STATE_COLUMNS = [
    "gradient",
    "rate_reference",
    "rate_reference_2T",
    "remaining_change",
    "cycling",
    "spectral_radius",
    "stable",
    "reason",
]


def _tables(anchor: str, frames: Frames) -> list[Table]:
    tables = []
    for task, own in frames["adaptation"].groupby("task", sort=False):
        adapted = own[(own.states == ADAPTED) & own.rate_reference.notna()]
        if len(adapted):
            caption = f"η_ref(g) on {task}, adapted states after T steps"
            name = f"{anchor}-{task}"
            tables.append(numbers(name, caption, adapted, "gradient", "rate_reference"))
        learned = own[(own.role == "checkpoint") & own.states.isin([ADAPTED, EXACT])]
        first = learned[learned.optimizer == learned.optimizer.min()] if len(learned) else learned
        if len(first):
            kinds = [_some(states, MAX_CURVE_POINTS) for _, states in first.groupby("states")]
            frame = kinds[0].iloc[:0] if not kinds else _stacked(kinds)
            tables.append(
                Table(
                    f"{anchor}-{task}-states",
                    f"States of {first.optimizer.iloc[0]} on {task}: adapted ones, and exact fixed "
                    "points.",
                    frame[["states", *STATE_COLUMNS]],
                )
            )
    return tables


def _stacked(parts: "list[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


ADAPTATION = ProbeFigure(
    "adaptation",
    "The learning rate under a gradient that stays",
    ("adaptation", "mechanisms"),
    {
        "rate, g < 0": lambda canvas, group: _rates(canvas, group, -1.0),
        "rate, g > 0": lambda canvas, group: _rates(canvas, group, 1.0),
        "one learned optimizer": _horizons,
        "S-curve": _s_curve,
    },
    "For negative and for positive gradients, the learning rate of the state after T steps of a "
    "constant gradient, over the gradient's size, on log axes, with dotted lines at the median q50 "
    "and the 99 % quantile q99 of the gradients that the learned optimizer meets; for one learned "
    "optimizer the same after T and 2 T steps, with its exact fixed points; and its states in "
    "their first two principal components, by the gradient's sign.",
    "η_ref(g) = −D(h_T(g), 0). The claim is about the rate at q99 over that at q50, the two "
    "diamonds of an arm: below 1 is adaptation. A slope of −1 is RMSProp's. Rates more than a "
    "hundred times those of learned optimizers leave the panel. Crosses mark gradients under which "
    f"the rate changes by more than {MAX_CHANGE:.0%} in another T steps; plus signs "
    "those under which the state cycles. Circles are exact fixed points, hollow where unstable; a "
    "gradient without one has an adapted state all the same. Compare the paper's figure on "
    "learning-rate adaptation.",
    _tables,
    _signs,
)
