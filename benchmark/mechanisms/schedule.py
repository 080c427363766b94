"""The learning-rate schedule: how the answer to a small gradient changes as time goes by.

h[t+1] = F(h[t], 0) from h0,    η[t] = −D(h[t], 0)
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain
from loptbench.mechanisms.values import (
    GradientStatistics,
    NotApplicable,
    listed,
    or_none,
    principal_components,
)
from loptbench.protocol import Array, Optimizer

Float = NDArray[np.float64]

PLATEAU = 1e-9


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The schedule of an optimizer.

    Attributes:
        rate: η[0] … η[n_steps − 1].
        trajectory: the autonomous trajectory in principal components, (n_steps, ≤ 3).
        variance: the share of its variance in each, (≤ 3,).
    """

    rate: Float
    trajectory: Float
    variance: Float

    @property
    def peak_step(self) -> int:
        """The first step at which the rate is at its highest."""
        highest = self.rate.max()
        return int(np.argmax(self.rate >= highest - PLATEAU * abs(highest)))

    @property
    def peak_over_first(self) -> float:
        """The highest rate over the first; NaN where the first is not positive."""
        return float(self.rate.max() / self.rate[0]) if self.rate[0] > 0 else np.nan

    @property
    def last_over_peak(self) -> float:
        """The last rate over the highest; NaN where that is not positive."""
        highest = self.rate.max()
        return float(self.rate[-1] / highest) if highest > 0 else np.nan

    @property
    def lowest_over_highest(self) -> float:
        """How far the rate stays the same: 1 if it never changes."""
        highest = self.rate.max()
        return float(self.rate.min() / highest) if highest > 0 else np.nan

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rate": listed(self.rate),
            "peak_step": self.peak_step,
            "peak_over_first": or_none(self.peak_over_first),
            "last_over_peak": or_none(self.last_over_peak),
            "lowest_over_highest": or_none(self.lowest_over_highest),
            "trajectory": listed(self.trajectory),
            "variance": listed(self.variance),
        }


def measure_schedule(
    optimizer: Optimizer, met: GradientStatistics, n_steps: int
) -> Schedule | NotApplicable:
    """Measure the schedule over a run's length.

    Args:
        optimizer: any optimizer in float64, with its clocks running.
        met: the gradients that it meets.
        n_steps: how many steps.

    Returns: the schedule, or why there is none.
    """
    state: Array = np.asarray(optimizer.initial_state(1))
    states = []
    for _ in range(n_steps):
        states.append(state[0])
        state = checked_step(optimizer, state, np.zeros(1))[0]
    path = np.stack(states)
    D, reasons = usable_gain(optimizer, path, met.typical)
    # A rate of zero is one, unless it is all there is.
    if any(reason != NO_RESPONSE for reason in reasons):
        reasons = [reason.replace(NO_RESPONSE, "") for reason in reasons]
    for step, reason in enumerate(reasons):
        if reason:
            return NotApplicable(f"after {step} steps without a gradient {reason}")
    return Schedule(0.0 - D, *principal_components(np.asarray(path, np.float64)))
