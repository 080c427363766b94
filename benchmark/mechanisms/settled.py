"""Where the state comes to rest under a constant gradient, as the first edition asked.

From the convergence point the state has 2,250 steps to come to rest. A gradient at which it does
not has no number here. Claims of edition 1 rest on the gradients that are left; why that misleads
is told in `docs/how_it_works/adaptation.md`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.adapted import AdaptedStates
from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.exact import ExactFixedPoints, different
from loptbench.mechanisms.dynamics.fixed_points import (
    MAX_RESIDUAL,
    RELAXATION_STEPS,
    SAME_POINT_TOLERANCE,
    FixedPoints,
    newton,
    settle,
    state_distance,
    state_scale,
)
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

MAX_STEPS = sum(RELAXATION_STEPS)
"""Steps within which a state must come to rest."""

SAME_BASIN = 0.1
"""Relative distance after T steps above which two starts may lead to different points."""


class SettledStates(NamedTuple):
    """Where the state comes to rest under each gradient.

    Attributes:
        points: the points; `converged` where it does.
        several: whether another fixed point is known, (n,).
    """

    points: FixedPoints
    several: Bool


def find_settled_states(
    optimizer: Optimizer,
    h0: Float,
    adapted: AdaptedStates,
    exact: ExactFixedPoints,
) -> SettledStates:
    """Let the states that have not come to rest after 2 T steps go on to 2,250.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        h0: its initial state, (n_state,).
        adapted: its adapted states.
        exact: the exact fixed points.
    """
    known, gradient, later = exact.points, adapted.gradient, adapted.later
    points = known.subset(np.arange(len(gradient)))
    points.last[:] = later
    with np.errstate(invalid="ignore"):
        at_rest = state_distance(later, known.state) <= SAME_POINT_TOLERANCE * state_scale(later)
    points.converged[:] = known.converged & at_rest
    moving = np.flatnonzero(~at_rest & np.all(np.isfinite(later), axis=1))
    if moving.size:
        remaining = max(2, MAX_STEPS - 2 * adapted.n_steps)
        first = min(RELAXATION_STEPS[0], remaining // 2)
        stages = (first, remaining - first)
        start = later[moving]
        settled = settle(optimizer, start, gradient[moving], known.subset(moving), stages)
        points.replace(moving, settled)
    points.state[~points.converged] = np.nan
    from_h0 = _from_start(optimizer, h0, adapted, known)
    return SettledStates(points, exact.several | different(optimizer, gradient, points, from_h0))


def _from_start(
    optimizer: Optimizer, h0: Float, adapted: AdaptedStates, known: FixedPoints
) -> FixedPoints:
    """The known fixed points; others where h0 leads to a state far from h_T(g) in T steps."""
    gradient = adapted.gradient
    start = np.tile(h0.astype(np.float64), (gradient.size, 1))
    end = drive(optimizer, start, gradient, [adapted.n_steps])[0]
    points = known.subset(np.arange(gradient.size))
    with np.errstate(invalid="ignore"):
        near = state_distance(end, adapted.state) <= SAME_BASIN * state_scale(end)
    elsewhere = np.flatnonzero(~near & np.all(np.isfinite(end), axis=1))
    state, residual = newton(optimizer, end[elsewhere], gradient[elsewhere])
    points.replace(
        elsewhere, FixedPoints(state, residual, residual <= MAX_RESIDUAL, end[elsewhere])
    )
    return points
