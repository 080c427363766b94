"""The learning-rate schedule: how the response to a small gradient changes over time.

h[t+1] = F(h[t], 0) from h0,    η[t] = −D(h[t], 0)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.principal_components import principal_components
from loptbench.mechanisms.states_met import StatesMet
from loptbench.protocol import Array, Optimizer
from loptbench.results.schema.mechanisms import (
    Coverage,
    MetScheduleResult,
    NotApplicable,
    ScheduleResult,
    ScheduleSummary,
)

Float = NDArray[np.float64]

PEAK_TOLERANCE = 1e-9
"""Rates within this relative distance of the highest count as the highest."""


def measure_schedule(
    optimizer: Optimizer,
    statistics: GradientStatistics,
    n_steps: int,
    met: StatesMet | None = None,
) -> ScheduleResult | NotApplicable:
    """Measure the schedule over the length of a run, and over twice that.

    Args:
        optimizer: any optimizer in float64, with its counters running.
        statistics: the gradients that it meets on real runs.
        n_steps: T, the number of steps.
        met: the response at the states of real runs.

    Returns: the schedule, or why there is none.
    """
    start: Array = np.asarray(optimizer.initial_state(1))
    path = drive(optimizer, start, np.zeros(1), range(2 * n_steps))[:, 0]
    D, reasons = usable_gain(optimizer, path, statistics.typical)
    # A rate of zero is valid unless all rates are zero.
    if any(reason != NO_RESPONSE for reason in reasons):
        reasons = [reason.replace(NO_RESPONSE, "") for reason in reasons]
    n_usable = next((step for step, reason in enumerate(reasons) if reason), len(reasons))
    if n_usable < n_steps:
        return NotApplicable(
            not_applicable=f"after {n_usable} steps without a gradient {reasons[n_usable]}"
        )
    rate = 0.0 - D
    trajectory, variance = principal_components(np.asarray(path[:n_steps], np.float64))
    return ScheduleResult(
        **_summary(rate[:n_steps]),
        rate=rate[:n_steps],
        trajectory=trajectory,
        variance=variance,
        longer=ScheduleSummary(**_summary(rate)) if n_usable == len(rate) else None,
        met=None if met is None else _at_states_met(met),
        coverage=_coverage(met, n_usable, reasons),
    )


def _summary(rate: Float) -> dict[str, Any]:
    """The fields of `ScheduleSummary`."""
    highest, first, last = float(rate.max()), float(rate[0]), float(rate[-1])
    return {
        "peak_step": peak_step(rate),
        "peak_over_first": _ratio(highest, first),
        "last_over_peak": _ratio(last, highest),
        "lowest_over_highest": _ratio(float(rate.min()), highest),
    }


def _at_states_met(met: StatesMet) -> MetScheduleResult | None:
    """The median and the quartiles of the rate at each step; None if a step has no rate at all."""
    rate = 0.0 - met.gain.reshape(len(met.gain), -1)
    if not np.all(np.any(np.isfinite(rate), axis=1)):
        return None
    low, median, high = np.nanquantile(rate, [0.25, 0.5, 0.75], axis=1)
    return MetScheduleResult(**_summary(median), rate=median, low=low, high=high)


def _coverage(met: StatesMet | None, n_usable: int, reasons: list[str]) -> Coverage:
    """Of the 2 T steps without a gradient, and of the states of real runs; the smaller share."""
    missing = []
    if n_usable < len(reasons):
        missing.append(f"after {n_usable} steps without a gradient {reasons[n_usable]}")
    if met is None:
        missing.append("there are no real runs")
    elif met.missing:
        missing.append(met.missing)
    share = min(n_usable / len(reasons), 0.0 if met is None else met.coverage)
    return Coverage(share=share, missing="; ".join(missing))


def _ratio(numerator: float, denominator: float) -> float:
    """The ratio of two rates; NaN where the denominator is not positive."""
    return numerator / denominator if denominator > 0 else np.nan


def peak_step(rate: Float) -> int:
    """The first step at which the rate is at its highest.

    >>> peak_step(np.array([0.1, 0.3, 0.3, 0.2]))
    1
    """
    highest = rate.max()
    return int(np.argmax(rate >= highest - PEAK_TOLERANCE * abs(highest)))
