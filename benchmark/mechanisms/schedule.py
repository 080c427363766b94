"""The learning-rate schedule: how the response to a small gradient changes over time.

h[t+1] = F(h[t], 0) from h0,    η[t] = −D(h[t], 0)
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.principal_components import principal_components
from loptbench.protocol import Array, Optimizer
from loptbench.results.schema.mechanisms import NotApplicable, ScheduleResult

Float = NDArray[np.float64]

PEAK_TOLERANCE = 1e-9
"""Rates within this relative distance of the highest count as the highest."""


def measure_schedule(
    optimizer: Optimizer, statistics: GradientStatistics, n_steps: int
) -> ScheduleResult | NotApplicable:
    """Measure the schedule over the length of a run.

    Args:
        optimizer: any optimizer in float64, with its counters running.
        statistics: the gradients that it meets on real runs.
        n_steps: the number of steps.

    Returns: the schedule, or why there is none.
    """
    state: Array = np.asarray(optimizer.initial_state(1))
    states = []
    for _ in range(n_steps):
        states.append(state[0])
        state = checked_step(optimizer, state, np.zeros(1))[0]
    path = np.stack(states)
    D, reasons = usable_gain(optimizer, path, statistics.typical)
    # A rate of zero is valid unless all rates are zero.
    if any(reason != NO_RESPONSE for reason in reasons):
        reasons = [reason.replace(NO_RESPONSE, "") for reason in reasons]
    for step, reason in enumerate(reasons):
        if reason:
            return NotApplicable(not_applicable=f"after {step} steps without a gradient {reason}")
    rate = 0.0 - D
    trajectory, variance = principal_components(np.asarray(path, np.float64))
    highest, first, last = float(rate.max()), float(rate[0]), float(rate[-1])
    return ScheduleResult(
        rate=rate,
        peak_step=peak_step(rate),
        peak_over_first=_ratio(highest, first),
        last_over_peak=_ratio(last, highest),
        lowest_over_highest=_ratio(float(rate.min()), highest),
        trajectory=trajectory,
        variance=variance,
    )


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
