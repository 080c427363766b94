"""Exact fixed points under constant gradients, whatever their stability: F(h*(g), g) = h*(g).

Newton's iteration begins at the adapted state after T steps; where it fails, at that after 2 T
steps, and last at the fixed point of the nearest gradient that has one. The branch of h*, continued
from one gradient to the next, gives a second answer. Where both exist and differ, the one that is
nearer to the adapted state counts. Where the branch of h* is left, at a fold say, the branch that
the state has jumped to is continued back: the hysteresis of an optimizer with two branches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.branches import trace_branch
from loptbench.mechanisms.dynamics.fixed_points import (
    MAX_RESIDUAL,
    MAX_STABLE_EIGENVALUE,
    SAME_POINT_TOLERANCE,
    FixedPoints,
    newton,
    solve_systems,
    stable,
    state_distance,
    state_scale,
)
from loptbench.mechanisms.dynamics.linearization import (
    MAX_BLOCK_ELEMENTS,
    approximate_linearization,
    checked_step,
)
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]

FULL_SPECTRUM_SIZE = 128
"""The largest state all of whose eigenvalues are computed, which takes 1 ms for 64 variables and 20
for 256; of a larger one, the largest two."""

MAX_RESTARTS = 5
"""Restarts of Arnoldi's iteration for the largest two. Where many eigenvalues are nearly as large,
it takes hundreds, and all eigenvalues are found sooner."""

MAX_SPEED_LEFT = 1e-6
"""Largest speed at a fixed point, as a fraction of that where Newton's iteration began."""

EIGENVALUE_TOLERANCE = 1e-10
"""Relative accuracy of the largest eigenvalues of a large state."""

BETWEEN = 0.37, 0.81
"""Where on the way between two states a step is tried, to see whether they are one fixed point. Not
in the middle, where a third one often is."""

UNCERTAIN_RADIUS = 1e-6
"""A spectral radius that is this near to 1 does not decide on stability: a disturbance does."""


class ExactFixedPoints(NamedTuple):
    """The fixed points under constant gradients.

    Attributes:
        points: the points and their residuals; `converged` where there is one.
        several: whether two different ones are known, (n,).
        spectral_radius: the largest |eigenvalue| of A there, (n,); NaN where there is no point.
        stable: whether small disturbances die out, (n,).
        condition: ‖(I − A)⁻¹‖∞ there, (n,).
        branch_ends: the gradient at which the branch of h* ends, by arm, (2,); or infinite.
    """

    points: FixedPoints
    several: Bool
    spectral_radius: Float
    stable: Bool
    condition: Float
    branch_ends: Float


def find_exact_fixed_points(
    optimizer: Optimizer, adapted: Float, later: Float, gradient: Float, point: Float | None
) -> ExactFixedPoints:
    """The fixed point that belongs to each adapted state.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        adapted: the adapted states after T steps, (n, n_state).
        later: those after 2 T steps.
        gradient: their gradients, from the most negative up, (n,).
        point: the convergence point, (n_state,), from which the branch is continued; or None.
    """
    n = len(gradient)
    nowhere = np.full_like(adapted, np.nan)
    points = FixedPoints(nowhere, np.full(n, np.inf), np.zeros(n, bool), adapted.copy())
    for start in (adapted, later):
        todo = np.flatnonzero(~points.converged & np.all(np.isfinite(start), axis=1))
        _add(optimizer, points, todo, start[todo], gradient[todo])
    several, branch_ends = np.zeros(n, bool), np.full(2, np.inf)
    if point is not None:
        branch = points.subset(np.arange(n))
        arms = np.flatnonzero(gradient < 0)[::-1], np.flatnonzero(gradient > 0)
        for arm, indices in enumerate(arms):
            traced = trace_branch(optimizer, point, gradient[indices], points.subset(indices))
            branch.replace(indices, traced)
            if not traced.converged.all():
                branch_ends[arm] = gradient[indices][traced.converged.argmin()]
        several = different(optimizer, gradient, points, branch)
        for indices in arms:
            several |= _jumped_to(optimizer, points, branch, gradient, indices)
        nearer = branch.converged & ~(
            state_distance(points.state, adapted) <= state_distance(branch.state, adapted)
        )
        points.replace(np.flatnonzero(nearer), branch.subset(np.flatnonzero(nearer)))
    known, todo = np.flatnonzero(points.converged), np.flatnonzero(~points.converged)
    if known.size and todo.size:
        nearest = known[np.abs(known - todo[:, None]).argmin(axis=1)]
        _add(optimizer, points, todo, points.state[nearest], gradient[todo])
    radius, is_stable, condition = _stability(optimizer, points, gradient)
    return ExactFixedPoints(points, several, radius, is_stable, condition, branch_ends)


def _jumped_to(
    optimizer: Optimizer, points: FixedPoints, branch: FixedPoints, gradient: Float, arm: Int
) -> Bool:
    """Where the branch to which the state has jumped on an arm is another one, (n,).

    Args:
        optimizer: the optimizer.
        points: the fixed points to which the adapted states belong.
        branch: the branch of h*.
        gradient: (n,).
        arm: the places of the arm, outwards from zero.
    """
    n = len(gradient)
    left = ~branch.converged | different(optimizer, gradient, points, branch)
    jumped = arm[(left & points.converged)[arm]]
    if not jumped.size:
        return np.zeros(n, bool)
    first = jumped[0]
    back = np.arange(first - 1, -1, -1) if gradient[first] > 0 else np.arange(first + 1, n)
    unknown = points.subset(back)
    unknown.converged[:] = False
    other = points.subset(np.arange(n))
    other.converged[:] = False
    traced = trace_branch(
        optimizer, points.state[first], gradient[back], unknown, float(gradient[first])
    )
    other.replace(back, traced)
    return different(optimizer, gradient, points, other)


def _add(
    optimizer: Optimizer, points: FixedPoints, places: Int, start: Float, gradient: Float
) -> None:
    """Add the fixed points to which Newton's iteration leads, in place.

    The speed must have fallen as well, from that of the start: on a state that grows for ever, like
    a sum, the residual relative to the state falls while the speed does not.

    Args:
        optimizer: the optimizer.
        points: what is known.
        places: their places, (n_places,).
        start: where the iteration begins, (n_places, n_state).
        gradient: (n_places,).
    """
    state, residual = newton(optimizer, start, gradient)
    with np.errstate(all="ignore"):
        first_speed = state_distance(checked_step(optimizer, start, gradient)[0], start)
        largest = np.maximum(MAX_RESIDUAL * state_scale(start), MAX_SPEED_LEFT * first_speed)
        good = (residual <= MAX_RESIDUAL) & (residual * state_scale(state) <= largest)
    places = places[good]
    points.state[places], points.residual[places] = state[good], residual[good]
    points.converged[places] = True


def different(
    optimizer: Optimizer, gradient: Float, points: FixedPoints, alternative: FixedPoints
) -> Bool:
    """Where both have converged, and to different points, (n,).

    Where the approach is slow, like 1/t, a point is known to a thousandth only. The states between
    two such places are at rest as well.
    """
    with np.errstate(invalid="ignore"):
        distance = state_distance(alternative.state, points.state)
        apart = distance > SAME_POINT_TOLERANCE * state_scale(points.state)
    places = np.flatnonzero(points.converged & alternative.converged & apart)
    at_rest = np.ones(places.size, bool)
    for part in BETWEEN:
        between = (1 - part) * points.state[places] + part * alternative.state[places]
        moved, _ = checked_step(optimizer, between, gradient[places])
        at_rest &= state_distance(moved, between) <= MAX_RESIDUAL * state_scale(between)
    result = np.zeros(len(gradient), bool)
    result[places[~at_rest]] = True
    return result


def _stability(
    optimizer: Optimizer, points: FixedPoints, gradient: Float
) -> tuple[Float, Bool, Float]:
    """The spectral radius of A, whether the point is stable, and ‖(I − A)⁻¹‖∞; (n,) each."""
    n, n_state = points.state.shape
    radius, condition, is_stable = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool)
    known = np.flatnonzero(points.converged)
    block_size = max(1, MAX_BLOCK_ELEMENTS // max(1, n_state**2))
    for first in range(0, known.size, block_size):
        block = known[first : first + block_size]
        A = approximate_linearization(optimizer, points.state[block], gradient[block]).A
        radius[block] = spectral_radii(A)
        with np.errstate(all="ignore"):
            inverse = solve_systems(np.eye(n_state) - A, np.eye(n_state))
            condition[block] = np.maximum(1.0, np.abs(inverse).sum(axis=2).max(axis=1, initial=0.0))
    with np.errstate(invalid="ignore"):
        is_stable[known] = radius[known] < MAX_STABLE_EIGENVALUE
        certain = np.abs(radius[known] - 1) > UNCERTAIN_RADIUS
    uncertain = known[~certain]
    is_stable[uncertain] = stable(optimizer, points.state[uncertain], gradient[uncertain])
    return radius, is_stable, condition


def spectral_radii(matrices: Float) -> Float:
    """The largest |eigenvalue| of each matrix, (n,); NaN where a matrix is not finite.

    Args:
        matrices: (n, n_state, n_state).

    >>> spectral_radii(np.array([[[0.5, 1.0], [0.0, -0.9]]])).tolist()
    [0.9]
    """
    from scipy.sparse.linalg import ArpackError, eigs

    n, n_state = matrices.shape[:2]
    radii = np.full(n, np.nan)
    start = np.random.default_rng(0).standard_normal(n_state)
    for i, matrix in enumerate(matrices):
        if not np.all(np.isfinite(matrix)):
            continue
        if n_state > FULL_SPECTRUM_SIZE:
            try:
                eigenvalues = eigs(
                    matrix,
                    2,
                    ncv=20,
                    tol=EIGENVALUE_TOLERANCE,
                    maxiter=MAX_RESTARTS,
                    v0=start,
                    return_eigenvectors=False,
                )
            except ArpackError:  # it does not converge
                eigenvalues = np.linalg.eigvals(matrix)
        else:
            eigenvalues = np.linalg.eigvals(matrix)
        radii[i] = np.abs(eigenvalues).max(initial=0.0)
    return radii
