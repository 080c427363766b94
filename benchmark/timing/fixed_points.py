"""Time the search for fixed points beside the usual way, gradient descent on the squared speed.

    q(h) = ½ ‖F(h, g) − h‖²,  ∇q = Aᵀr − r,  r = F(h, g) − h

The usual way (Sussillo and Barak 2013, and the tools after it) minimises q by Adam, here with a
step size of 0.01 until q is at most 1e-8. Both start from the same states, under the same
gradients, in the reference, whose backward pass is written by hand.
"""

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.discovery import oracle
from loptbench.mechanisms.adaptation import gradient_grid
from loptbench.mechanisms.dynamics.branches import trace_branch
from loptbench.mechanisms.dynamics.fixed_points import FixedPoints, settle
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.optimizers import OptimizerSpec

Float = NDArray[np.float64]

STEP_SIZE = 0.01
TOLERANCE = 1e-8
MAX_STEPS = 20_000


@dataclasses.dataclass(frozen=True)
class FixedPointSpeed:
    """The time of a sweep over gradients, with our search and with gradient descent.

    Attributes:
        n_units: units of the GRU.
        n_gradients: number of gradients.
        seconds: duration of our search: settling, Newton's iteration, continuation.
        found: number of gradients at which a fixed point was found.
        residual: the largest max |F(h, g) − h| over these.
        descent_seconds: duration of gradient descent.
        descent_reached: number of gradients at which q fell to `TOLERANCE`.
        descent_residual: the median of max |F(h, g) − h| after gradient descent.
        descent_steps: number of steps of Adam.
    """

    n_units: int
    n_gradients: int
    seconds: float
    found: int
    residual: float
    descent_seconds: float
    descent_reached: int
    descent_residual: float
    descent_steps: int

    @property
    def ratio(self) -> float:
        """The speedup over gradient descent."""
        return self.descent_seconds / self.seconds


def fixed_point_speed(spec: OptimizerSpec) -> FixedPointSpeed:
    """Time a sweep over 200 gradients, from 0.01 to 10 in both signs, of a GRU."""
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    gradients = gradient_grid(GradientStatistics.from_run(None))
    start = np.tile(optimizer.initial_state(1), (gradients.size, 1))
    before = time.perf_counter()
    fixed_points = _sweep(optimizer, gradients)
    seconds = time.perf_counter() - before
    before = time.perf_counter()
    state, q, n_steps = _descend(optimizer, start, gradients)
    descent_seconds = time.perf_counter() - before
    speed = np.abs(optimizer.step(state, gradients)[0] - state).max(axis=1)
    return FixedPointSpeed(
        spec.n_state,
        gradients.size,
        seconds,
        int(fixed_points.converged.sum()),
        float(fixed_points.residual[fixed_points.converged].max(initial=0.0)),
        descent_seconds,
        int(np.sum(q <= TOLERANCE)),
        float(np.median(speed)),
        n_steps,
    )


def _sweep(optimizer: Any, gradients: Float) -> FixedPoints:
    """The fixed points of the adaptation probe's curve."""
    resting = settle(optimizer, optimizer.initial_state(1), np.zeros(1)).state
    fixed_points = settle(optimizer, np.tile(resting, (gradients.size, 1)), gradients)
    half = gradients.size // 2
    for arm in (np.arange(half)[::-1], np.arange(half, gradients.size)):
        trace_branch(optimizer, resting[0], gradients[arm], fixed_points.subset(arm))
    return fixed_points


def _descend(optimizer: Any, h: Float, gradient: Float) -> tuple[Float, Float, int]:
    """Minimize q with Adam for each gradient: the final states, q there, and the step count."""
    h = h.copy()
    m, v, q = np.zeros_like(h), np.zeros_like(h), np.full(len(h), np.inf)
    active = np.arange(len(h))
    for step in range(1, MAX_STEPS + 1):
        active_state, g = h[active], gradient[active]
        r = optimizer.step(active_state, g)[0] - active_state
        q[active] = 0.5 * np.sum(r**2, axis=1)
        active, still_active = active[q[active] > TOLERANCE], q[active] > TOLERANCE
        if not active.size:
            return h, q, step
        active_state, g, r = active_state[still_active], g[still_active], r[still_active]
        slope = optimizer.pullback(active_state, g, r, np.zeros(len(g)))[0] - r
        m[active] = 0.9 * m[active] + 0.1 * slope
        v[active] = 0.999 * v[active] + 0.001 * slope**2
        mean, square = m[active] / (1 - 0.9**step), v[active] / (1 - 0.999**step)
        h[active] -= STEP_SIZE * mean / (np.sqrt(square) + 1e-8)
    return h, q, MAX_STEPS
