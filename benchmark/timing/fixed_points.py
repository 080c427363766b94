"""How fast fixed points are found, beside the usual way: gradient descent on the squared speed.

    q(h) = ½ ‖F(h, g) − h‖²,  ∇q = Aᵀr − r,  r = F(h, g) − h

The usual way (Sussillo and Barak 2013, and the tools after it) minimises q by Adam, here with a
step size of 0.01 until q is at most 1e-8. Both start from the same states, under the same
gradients, in the reference, whose backward pass is written by hand.
"""

import dataclasses
import time

import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.reference.gru import GRU
from loptbench.mechanisms.adaptation import gradient_grid
from loptbench.mechanisms.dynamics.fixed_points import FixedPoints, settle, trace_branch
from loptbench.mechanisms.values import GradientStatistics
from loptbench.optimizers import OptimizerSpec

Float = NDArray[np.float64]

STEP_SIZE = 0.01
ENOUGH = 1e-8
MOST_STEPS = 20_000


@dataclasses.dataclass(frozen=True)
class FixedPointSpeed:
    """A sweep over gradients, ours and the usual way.

    Attributes:
        n_units: units of the GRU.
        n_gradients: how many gradients.
        seconds: ours: settling, Newton's iteration, and following the branch.
        found: at how many gradients the state settles.
        residual: the largest max |F(h, g) − h| of those.
        descent_seconds: gradient descent.
        descent_reached: at how many gradients it came to 1e-8.
        descent_residual: the median of its max |F(h, g) − h|.
        descent_steps: how many steps of Adam it took.
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
        """How many times as fast ours is."""
        return self.descent_seconds / self.seconds


def fixed_point_speed(spec: OptimizerSpec) -> FixedPointSpeed:
    """Time a sweep over 200 gradients, from 0.01 to 10 in both signs, of a GRU."""
    optimizer = GRU(spec)
    gradients = gradient_grid(GradientStatistics.from_run(None))
    start = np.tile(optimizer.initial_state(1), (gradients.size, 1))
    before = time.perf_counter()
    found = _sweep(optimizer, gradients)
    ours = time.perf_counter() - before
    before = time.perf_counter()
    state, q, n_steps = _descend(optimizer, start, gradients)
    theirs = time.perf_counter() - before
    speed = np.abs(optimizer.step(state, gradients)[0] - state).max(axis=1)
    return FixedPointSpeed(
        spec.n_state,
        gradients.size,
        ours,
        int(found.converged.sum()),
        float(found.residual[found.converged].max(initial=0.0)),
        theirs,
        int(np.sum(q <= ENOUGH)),
        float(np.median(speed)),
        n_steps,
    )


def _sweep(optimizer: GRU, gradients: Float) -> FixedPoints:
    """What the adaptation probe does to get its curve."""
    resting = settle(optimizer, optimizer.initial_state(1), np.zeros(1)).state
    found = settle(optimizer, np.tile(resting, (gradients.size, 1)), gradients)
    half = gradients.size // 2
    for arm in (np.arange(half)[::-1], np.arange(half, gradients.size)):
        trace_branch(optimizer, resting[0], gradients[arm], found.subset(arm))
    return found


def _descend(optimizer: GRU, h: Float, gradient: Float) -> tuple[Float, Float, int]:
    """Adam on q of each gradient by itself: where it ends, q there, and after how many steps."""
    h = h.copy()
    m, v, q = np.zeros_like(h), np.zeros_like(h), np.full(len(h), np.inf)
    going = np.arange(len(h))
    for step in range(1, MOST_STEPS + 1):
        at, g = h[going], gradient[going]
        r = optimizer.step(at, g)[0] - at
        q[going] = 0.5 * np.sum(r**2, axis=1)
        going, kept = going[q[going] > ENOUGH], q[going] > ENOUGH
        if not going.size:
            return h, q, step
        at, g, r = at[kept], g[kept], r[kept]
        slope = optimizer.pullback(at, g, r, np.zeros(len(g)))[0] - r
        m[going] = 0.9 * m[going] + 0.1 * slope
        v[going] = 0.999 * v[going] + 0.001 * slope**2
        mean, square = m[going] / (1 - 0.9**step), v[going] / (1 - 0.999**step)
        h[going] -= STEP_SIZE * mean / (np.sqrt(square) + 1e-8)
    return h, q, MOST_STEPS
