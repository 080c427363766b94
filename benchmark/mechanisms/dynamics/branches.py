"""Branches of fixed points h*(g): continued from one gradient to the next."""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.fixed_points import (
    MAX_RESIDUAL,
    SAME_POINT_TOLERANCE,
    FixedPoints,
    newton,
    solve_systems,
    state_distance,
    state_scale,
)
from loptbench.mechanisms.dynamics.linearization import approximate_linearization
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

MAX_PREDICTION_ERROR = 0.1
"""Largest distance between a point of a branch and its prediction, relative to the branch."""


def trace_branch(
    optimizer: Optimizer,
    start: Float,
    gradients: Float,
    points: FixedPoints,
    start_gradient: float = 0.0,
) -> FixedPoints:
    """Continue a fixed point, such as that without a gradient, to the branch of points h*(g).

    The tangent of the curve, dh*/dg = (I − A)⁻¹ B, predicts the next point, and Newton's iteration
    corrects it. Where all states settle at the points that their neighbours predict, these are the
    branch, and one batch is enough. From the first exception on, the branch is continued point by
    point. At a fold the branch ends.

    Args:
        optimizer: any optimizer in float64.
        start: the fixed point to begin with, (n_state,).
        gradients: in the order of their distance from the first, (n,).
        points: where the state settles under each.
        start_gradient: the gradient of `start`.

    Returns: the n points of the branch; not converged beyond its end.
    """
    n = len(gradients)
    # State variables may have large values: a jump is measured relative to their range.
    reach = np.maximum(1.0, np.abs(points.state[points.converged]).max(axis=0, initial=0.0))
    previous_state = np.concatenate([start[None], points.state[:-1]])
    previous_gradient = np.concatenate([[start_gradient], gradients[:-1]])
    on_branch = np.concatenate([[True], points.converged[:-1]]) & points.converged
    state, _, continued = _continue(
        optimizer,
        previous_state[on_branch],
        previous_gradient[on_branch],
        gradients[on_branch],
        reach,
    )
    distance = state_distance(state, points.state[on_branch])
    on_branch[on_branch] = continued & (distance <= SAME_POINT_TOLERANCE * state_scale(state))
    n_on_branch = n if on_branch.all() else int(on_branch.argmin())
    branch = points.subset(np.arange(n))
    branch.state[n_on_branch:], branch.residual[n_on_branch:] = np.nan, np.inf
    branch.converged[n_on_branch:] = False
    for i in range(n_on_branch, n):
        h, g = (branch.state[i - 1], gradients[i - 1]) if i else (start, start_gradient)
        state, residual, continued = _continue(
            optimizer, h[None], np.array([g]), gradients[i : i + 1], reach
        )
        if not continued[0]:
            break
        branch.state[i], branch.residual[i], branch.converged[i] = state[0], residual[0], True
    return branch


def _continue(
    optimizer: Optimizer, state: Float, gradient: Float, next_gradient: Float, reach: Float
) -> tuple[Float, Float, Bool]:
    """Next fixed points, their residuals, and whether they continue the branch."""
    A, B, *_ = approximate_linearization(optimizer, state, gradient)
    tangent = solve_systems(np.eye(state.shape[1]) - A, B[:, :, None])[:, :, 0]
    prediction = state + (next_gradient - gradient)[:, None] * tangent
    next_state, residual = newton(optimizer, prediction, next_gradient)
    near = state_distance(next_state / reach, prediction / reach) <= MAX_PREDICTION_ERROR
    return next_state, residual, (residual <= MAX_RESIDUAL) & near
