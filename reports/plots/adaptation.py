"""Adaptation: the learning rate under a gradient that stays, and the S-curve."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from loptbench.reports.plots.canvas import Canvas, long
from loptbench.reports.plots.mechanisms import Frames, Group, ProbeFigure
from loptbench.reports.plots.styles import ARMS, INK, PAPER, Style, optimizer
from loptbench.reports.plots.updates import updates
from loptbench.results.frames.adaptation import ADAPTED, EXACT
from loptbench.results.frames.views import CURVE

if TYPE_CHECKING:
    import pandas as pd

MAX_CURVE_POINTS = 100
"""Adapted states of an S-curve that are drawn."""
MAX_FIXED_POINTS = 14
"""Exact fixed points of an arm that are drawn."""
MAX_LINEAR_RANGE = 20.0
"""Highest rate over lowest up to which one optimizer's rates have a linear axis from 0."""
MAX_CHANGE = 0.05
"""Rates that change by more than this share in another T steps are marked."""
LATER_ALPHA = 0.4
"""Opacity of the curve after 2 T steps."""
QUANTILES = {"q50": "typical_gradient", "q99": "large_gradient"}
"""The gradients between which the adaptation ratio is formed, and their names in the results."""
RMSPROP: dict[str, Any] = {
    "color": optimizer("rmsprop").light,
    "linewidth": 1.4,
    "linestyle": (0, (4, 2)),
}
"""The line of slope −1: the rate of RMSProp, 1 / |g|."""


def _states(data: "pd.DataFrame", kind: str, sign: float) -> "pd.DataFrame":
    """The states of one kind, of one sign of the gradient, by |g|."""
    data = data[(data.states == kind) & (data.gradient * sign > 0)]
    return data.assign(size_of_g=data.gradient.abs()).sort_values("size_of_g", kind="stable")


def _quantities(group: Group, names: "list[str]") -> "pd.DataFrame":
    """Some quantities of the probe, a column for each, by learned optimizer."""
    data = group.learned("mechanisms")
    data = data[(data.probe == "adaptation") & data.quantity.isin(names)]
    wide = data.pivot_table("value", "optimizer", "quantity", aggfunc="first")
    return wide.reindex(columns=names)


def _lines_at(canvas: Canvas, group: Group) -> None:
    """Dotted lines at q50 and q99 of the learned optimizers that are drawn thick."""
    quantiles = _quantities(group, list(QUANTILES.values()))
    for tag, _ in group.first_learned("adaptation"):
        for label, name in QUANTILES.items():
            gradient = quantiles[name].get(tag.seed, np.nan)
            if not gradient > 0:
                continue
            line = canvas.axes.axvline(gradient, color=INK, linestyle=":", linewidth=0.8)
            text = canvas.axes.annotate(
                label,
                (gradient, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-2, -1),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=9,
                color=INK,
            )
            canvas.tag(line, tag)
            canvas.tag(text, tag)


def _rates(canvas: Canvas, group: Group, sign: float) -> None:
    """Rates relative to the one at q50, of learned optimizers, with RMSProp's slope."""
    data = _states(group.learned("adaptation"), ADAPTED, sign)
    data = data[data.rate_reference > 0]
    typical = _quantities(group, ["typical_gradient"]).typical_gradient
    parts = []
    for name, own in data.groupby("optimizer", sort=False):
        gradient = typical.get(name, np.nan)
        if gradient > 0:
            parts.append(own.rate_reference / _at(own, gradient))
    if not parts:
        return
    data = data.assign(relative=_stacked(parts)).dropna(subset="relative")
    canvas.curves(data, "size_of_g", "relative", group.shown, group.bold)
    canvas.axes.set(xscale="log", yscale="log")
    low, high = data.relative.min() / 2, data.relative.max() * 2
    canvas.axes.set(ylim=(low, high), xlim=(data.size_of_g.min(), data.size_of_g.max()))
    middle = float(typical[typical > 0].median())
    ends = np.array([middle * low, middle / low])
    canvas.axes.plot(ends, middle / ends, **RMSPROP)
    _lines_at(canvas, group)


def _horizons(canvas: Canvas, group: Group) -> None:
    """One learned optimizer: both arms, after T and after 2 T steps, and its exact fixed points."""
    quantiles = _quantities(group, list(QUANTILES.values()))
    for tag, data in group.first_learned("adaptation"):
        marked = quantiles.loc[tag.seed].dropna() if tag.seed in quantiles.index else []
        n_before = len(canvas.axes.lines)
        for arm, sign in zip(ARMS, (-1.0, 1.0), strict=True):
            adapted = _states(data, ADAPTED, sign)
            for column, alpha in (("rate_reference_2T", LATER_ALPHA), ("rate_reference", 1.0)):
                values = _some(adapted[adapted[column] > 0], MAX_CURVE_POINTS)
                canvas.axes.plot(
                    values.size_of_g, values[column], color=arm.light, linewidth=1.4, alpha=alpha
                )
            positive = adapted[adapted.rate_reference > 0]
            changing = positive[positive.remaining_change > MAX_CHANGE]
            cycling = positive[positive.cycling.fillna(False).astype(bool)]
            _marks(canvas, changing, arm, "x")
            _marks(canvas, cycling, arm, "+")
            exact = _states(data, EXACT, sign)
            exact = _some(exact[exact.rate_reference > 0], MAX_FIXED_POINTS)
            _points(canvas, exact, "size_of_g", "rate_reference", arm)
            for gradient in marked if len(positive) else []:
                canvas.axes.plot(
                    gradient,
                    _at(positive, gradient),
                    marker="D",
                    markersize=5,
                    color=arm.light,
                    markeredgecolor=INK,
                )
        for line in canvas.axes.lines[n_before:]:
            canvas.tag(line, tag)
    canvas.axes.set(xscale="log", yscale="log")
    low, high = canvas.axes.dataLim.intervaly
    if 0 < high <= MAX_LINEAR_RANGE * low:
        canvas.axes.set(yscale="linear", ylim=(0, 1.1 * high))
    _lines_at(canvas, group)


def _at(states: "pd.DataFrame", gradient: float) -> float:
    """The rate at a gradient, between neighbours by a power law."""
    logs = np.log(states.size_of_g), np.log(states.rate_reference)
    return float(np.exp(np.interp(np.log(gradient), *logs)))


def _marks(canvas: Canvas, states: "pd.DataFrame", arm: Style, marker: str) -> None:
    states = _some(states, MAX_FIXED_POINTS)
    canvas.axes.plot(
        states.size_of_g,
        states.rate_reference,
        linestyle="",
        marker=marker,
        markersize=4,
        color=arm.light,
    )


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
    shares = _quantities(group, ["adapted_variance_1", "adapted_variance_2"])
    for tag, data in group.first_learned("adaptation"):
        n_before = len(canvas.axes.lines)
        for arm, sign in zip(ARMS, (-1.0, 1.0), strict=True):
            adapted = _states(data, ADAPTED, sign).dropna(subset=["pc1", "pc2"])
            adapted = _some(adapted, MAX_CURVE_POINTS)
            canvas.axes.plot(adapted.pc1, adapted.pc2, color=arm.light, linewidth=1.2)
            exact = _states(data, EXACT, sign).dropna(subset=["pc1", "pc2"])
            _points(canvas, _some(exact, MAX_FIXED_POINTS), "pc1", "pc2", arm)
        for line in canvas.axes.lines[n_before:]:
            canvas.tag(line, tag)
        if tag.seed in shares.index:
            canvas.explained(tag, *shares.loc[tag.seed])


def _updates(canvas: Canvas, group: Group) -> None:
    updates(canvas, group, CURVE, "response")


def _signs() -> list[Any]:
    lines = [Line2D([], [], label="slope −1: RMSProp", **RMSPROP)]
    lines += [Line2D([], [], color=arm.light, linewidth=1.4, label=arm.name) for arm in ARMS]
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


NUMBERS = ("states", "rate_reference", "rate_reference_2T", "remaining_change", "stable")


def _numbers(frames: Frames) -> "pd.DataFrame":
    data = frames["adaptation"]
    data = data[data.states == ADAPTED].sort_values("gradient", kind="stable")
    return long(data, "gradient", *NUMBERS)


def _stacked(parts: "list[pd.Series[float]]") -> "pd.Series[float]":
    import pandas as pd

    return pd.concat(parts)


ADAPTATION = ProbeFigure(
    "adaptation",
    "The learning rate under a gradient that stays",
    ("adaptation", "mechanisms", "updates_along_curves"),
    {
        "Rate over the rate at q50, against |g|, for g < 0": lambda c, g: _rates(c, g, -1.0),
        "Rate over the rate at q50, against |g|, for g > 0": lambda c, g: _rates(c, g, 1.0),
        "Rate η(g) of one learned optimizer, against |g|": _horizons,
        "S-curve: adapted states of one learned optimizer, PC 2 against PC 1": _s_curve,
        "Update U(h, g) − U(h, 0) at states h of its S-curve, against the gradient g": _updates,
    },
    "For negative and for positive gradients, the learning rate of the state after T steps of a "
    "constant gradient, relative to the one at the median gradient q50, over the gradient's size, "
    "on log axes, with dotted lines at q50 and at the 99 % quantile q99 of the gradients that a "
    "learned optimizer meets; for one learned optimizer the rate after T and 2 T steps, with its "
    "exact fixed points; its states in their first two principal components; and its update "
    "against the gradient at states along that curve.",
    "The claim is about the rate at q99 over that at q50, the two diamonds of an arm: below 1 is "
    f"adaptation. Crosses: the rate changes by more than {MAX_CHANGE:.0%} in another T steps. "
    "Circles: exact fixed points, hollow where unstable. Compare the paper's figure on "
    "learning-rate adaptation. A flatter line at a stronger gradient is adaptation.",
    _numbers,
    _signs,
)
