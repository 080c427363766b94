"""Fixed points of the state under a constant gradient: F(h*(g), g) = h*(g).

Many gradients and many initial states are treated at once. The state first evolves by itself,
since the point of interest is the one where it *settles*. Then Newton's iteration refines it,

    h ← h − (A − I)⁻¹ (F(h, g) − h),

which takes three or four steps from a distance of 1e-2 to rounding error, even for slow modes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.linearization import (
    MAX_BLOCK_ELEMENTS,
    approximate_linearization,
    checked_step,
)
from loptbench.protocol import Optimizer
from loptbench.threads import by_blocks

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

RELAXATION_STEPS = (250, 2_000)
"""Steps of the two stages in which the state evolves by itself; the second is for states that have
not settled in the first."""

N_SNAPSHOTS = 64
"""Number of states of a relaxation that are kept, evenly spaced in time."""

N_WINDOWS = 4
"""Number of time windows in which the distance to a fixed point must decrease."""

MAX_WINDOW_RATIO = 0.99
"""Largest ratio of the distances in the last and the first window for an approaching state."""

NEIGHBOURHOOD = 1e-2
"""Relative distance to a fixed point below which linear stability decides."""

MIN_SPEED = 1e-9
"""Relative change per step below which a state counts as at rest."""

MAX_NEWTON_STEPS = 50

MIN_IMPROVEMENT = 0.9
"""A step of Newton's iteration that leaves more than this fraction of the residual is the last."""

ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""A relative residual that no further step of Newton's iteration is sure to improve."""

FAR = 1e-3
SMALL_RESIDUAL = 1e-9
MIN_SHRINKING = 0.9
"""Newton's iteration runs away if it moves this far, relative to max(1, |h|), from where the
residual is this small, and as far as the step before: on a state that grows like ln t, say. Near a
point where n fixed points have met, each step is (n − 1)/n of the one before."""

MAX_RESIDUAL = 1e-12
"""Largest max |F(h, g) − h|, relative to max(1, |h|), of a fixed point."""

DISTURBANCE = 1e-5
"""Relative size of the disturbance in the test for stability."""

MIN_STATE_MAGNITUDE = 1e-290
"""Below this, a state entry is treated as zero, and its disturbance is absolute."""

N_DISTURBED_STEPS = 100
"""Steps in each half of the test for stability."""

MAX_DECAY_RATIO = 0.9
"""Largest ratio of the distances in the two halves for a disturbance that clearly decays."""

MAX_STABLE_EIGENVALUE = 1 - 1e-9
"""The largest |eigenvalue| of a point that is called stable. Residuals of 1e-12 and rounding cannot
distinguish a larger one from an integrator, whose response never ends."""

SAME_POINT_TOLERANCE = 1e-6
"""Largest distance of two states, relative to max(1, |h|), that count as the same point."""


class FixedPoints(NamedTuple):
    """Fixed points, one for each gradient.

    Attributes:
        state: h*(g), (n, n_state); NaN where there is none.
        residual: max |F(h*, g) − h*| relative to max(1, |h*|), (n,).
        converged: whether the residual is at most 1e-12 and the state comes to rest there, (n,).
        last: the last state of the relaxation, (n, n_state).
    """

    state: Float
    residual: Float
    converged: Bool
    last: Float

    def subset(self, indices: NDArray[np.int64]) -> "FixedPoints":
        """A copy of the points at these indices."""
        return FixedPoints(
            self.state[indices], self.residual[indices], self.converged[indices], self.last[indices]
        )

    def replace(self, indices: NDArray[np.int64], points: "FixedPoints") -> None:
        """Replace the points at these indices, in place."""
        for field, new in zip(self, points, strict=True):
            field[indices] = new


def settle(
    optimizer: Optimizer,
    start: Float,
    gradient: Float,
    candidates: FixedPoints | None = None,
    relaxation_steps: Sequence[int] = RELAXATION_STEPS,
) -> FixedPoints:
    """The fixed points where the state settles under constant gradients.

    Args:
        optimizer: any optimizer in float64.
        start: the initial states, (n, n_state).
        gradient: the gradients, (n,).
        candidates: fixed points for the same gradients, such as those of a branch. Where Newton's
            iteration ends elsewhere, the state may be approaching one of them.
        relaxation_steps: how long the state evolves by itself, in stages.

    Returns: the n points; where the state does not settle, `converged` is false.
    """
    n = len(gradient)
    state = np.full_like(start, np.nan)
    residual, converged, last = np.full(n, np.inf), np.zeros(n, bool), start.copy()
    for n_steps in relaxation_steps:
        todo = np.flatnonzero(~converged)
        if not todo.size:
            break
        path = _relax(optimizer, last[todo], gradient[todo], n_steps)
        last[todo] = path[-1]
        finite = np.all(np.isfinite(path[-1]), axis=1)
        todo, path = todo[finite], path[:, finite]
        point, point_residual = newton(optimizer, last[todo], gradient[todo])
        residual[todo] = point_residual
        settled = _approaches(
            optimizer, path, point, gradient[todo], point_residual <= MAX_RESIDUAL
        )
        if candidates is not None:
            candidate = candidates.state[todo]
            possible = ~settled & candidates.converged[todo]
            at_candidate = _approaches(optimizer, path, candidate, gradient[todo], possible)
            point[at_candidate] = candidate[at_candidate]
            residual[todo[at_candidate]] = candidates.residual[todo][at_candidate]
            settled |= at_candidate
        converged[todo] = settled
        state[todo] = np.where(settled[:, None], point, np.nan)
    return FixedPoints(state, residual, converged, last)


def stable(optimizer: Optimizer, state: Float, gradient: Float) -> Bool:
    """Whether small disturbances of fixed points decay, (n,).

    Each state variable is disturbed by 1e-5 of its size. The largest distances in the first and in
    the second hundred steps are compared. Where the second is not clearly smaller, and is more than
    rounding, the eigenvalues of A decide.

    Args:
        optimizer: any optimizer in float64.
        state: fixed points, (n, n_state).
        gradient: their gradients, (n,).
    """
    if not state.size:
        return np.ones(len(state), bool)
    rng = np.random.default_rng(0)
    scale = np.where(np.abs(state) < MIN_STATE_MAGNITUDE, 1.0, np.abs(state))
    disturbed = state + DISTURBANCE * scale * rng.choice([-1.0, 1.0], state.shape)
    path = drive(optimizer, disturbed, gradient, range(1, 2 * N_DISTURBED_STEPS + 1))
    with np.errstate(invalid="ignore"):
        distance = np.abs((path - state) / scale).max(axis=2)
        largest = distance.reshape(2, N_DISTURBED_STEPS, len(state)).max(axis=1)
    decays = (largest[1] < MAX_DECAY_RATIO * largest[0]) | (largest[1] < MIN_SPEED)
    undecided = np.flatnonzero(~decays)
    decays[undecided] = linearly_stable(optimizer, state[undecided], gradient[undecided])
    return np.asarray(decays)


def linearly_stable(optimizer: Optimizer, state: Float, gradient: Float) -> Bool:
    """Whether all eigenvalues of A at fixed points are below 1, (n,); arguments as of `stable`."""
    below_one = np.zeros(len(state), bool)
    for i in range(len(state)):
        A = approximate_linearization(optimizer, state[i : i + 1], gradient[i : i + 1]).A[0]
        if np.all(np.isfinite(A)):
            spectral_radius = np.abs(np.linalg.eigvals(A)).max(initial=0.0)
            below_one[i] = spectral_radius < MAX_STABLE_EIGENVALUE
    return below_one


def newton(optimizer: Optimizer, start: Float, gradient: Float) -> tuple[Float, Float]:
    """Newton's iteration on F(h, g) − h = 0 from every initial state.

    Each component keeps its best point, and stops once a step hardly improves it. Where it runs
    away, the residual is infinite.

    Args:
        optimizer: any optimizer in float64.
        start: the initial states, (n, n_state).
        gradient: the gradients, (n,).

    Returns: the best points, (n, n_state), and their relative residuals, (n,).
    """
    best, best_residual = start.copy(), _residual(optimizer, start, gradient)
    active = np.flatnonzero((best_residual > ROUNDING) & np.isfinite(best_residual))
    runs_away, last_move = np.zeros(len(start), bool), np.full(len(start), np.inf)
    n_state = start.shape[1]
    block_size = max(1, MAX_BLOCK_ELEMENTS // max(1, n_state**2))
    for _ in range(MAX_NEWTON_STEPS):
        if not active.size or not n_state:
            break
        improving = np.zeros(active.size, bool)
        for first in range(0, active.size, block_size):
            block = active[first : first + block_size]
            h, g = best[block], gradient[block]
            A = approximate_linearization(optimizer, h, g).A
            velocity = (_step(optimizer, h, g) - h)[:, :, None]
            moved = h - solve_systems(A - np.eye(n_state), velocity)[:, :, 0]
            residual = _residual(optimizer, moved, g)
            improved = residual < best_residual[block]
            goes_on = (residual > ROUNDING) & (residual < MIN_IMPROVEMENT * best_residual[block])
            move = state_distance(moved, h)
            far = (move > FAR * state_scale(moved)) & (move > MIN_SHRINKING * last_move[block])
            runs_away[block] |= improved & far & (best_residual[block] < SMALL_RESIDUAL)
            last_move[block] = move
            best[block[improved]] = moved[improved]
            best_residual[block[improved]] = residual[improved]
            improving[first : first + block_size] = goes_on
        active = active[improving]
    return best, np.where(runs_away, np.inf, best_residual)


def solve_systems(matrix: Float, right_side: Float) -> Float:
    """The solutions of linear systems; the least-norm solutions where a matrix is singular.

    They are NaN where not even these can be computed.

    Args:
        matrix: (n, n_state, n_state).
        right_side: (n, n_state, ...).
    """
    try:
        n = len(matrix)
        right_side = np.broadcast_to(right_side, (n, *right_side.shape[-2:]))
        parts = by_blocks(
            lambda block: np.linalg.solve(matrix[block], right_side[block]),
            n,
            matrix.size * matrix.shape[-1] // 3,
        )
        return np.concatenate(parts)
    except np.linalg.LinAlgError:
        if len(matrix) == 1:
            finite = np.where(np.isfinite(matrix), matrix, 0.0)
            try:
                return np.asarray(np.linalg.pinv(finite) @ right_side)
            except np.linalg.LinAlgError:  # LAPACK's SVD need not converge; this depends on the CPU
                return np.full(right_side.shape, np.nan)
    one_by_one = [slice(i, i + 1) for i in range(len(matrix))]
    return np.concatenate([solve_systems(matrix[i], right_side[i]) for i in one_by_one])


def _step(optimizer: Optimizer, h: Float, gradient: Float) -> Float:
    return np.asarray(checked_step(optimizer, h, gradient)[0], np.float64)


def state_scale(h: Float) -> Float:
    """The scale of distances of states: max(1, |h|) of each, (n,)."""
    return np.asarray(np.maximum(1.0, np.abs(h).max(axis=1, initial=0.0)))


def state_distance(a: Float, b: Float) -> Float:
    """max |a − b| over the state variables, the last axis."""
    return np.asarray(np.abs(a - b).max(axis=-1, initial=0.0))


def _residual(optimizer: Optimizer, h: Float, gradient: Float) -> Float:
    with np.errstate(invalid="ignore"):
        residual = state_distance(_step(optimizer, h, gradient), h) / state_scale(h)
        return np.nan_to_num(residual, nan=np.inf, posinf=np.inf)


def _relax(optimizer: Optimizer, h: Float, gradient: Float, n_steps: int) -> Float:
    """64 snapshots of the states, evenly spaced over at least 64 steps, (64, n, n_state)."""
    n_steps = max(n_steps, N_SNAPSHOTS)
    times = -(-np.arange(1, N_SNAPSHOTS + 1) * n_steps // N_SNAPSHOTS)
    return drive(optimizer, h, gradient, times.tolist())


def _approaches(
    optimizer: Optimizer, path: Float, point: Float, gradient: Float, possible: Bool
) -> Bool:
    """Whether a relaxing state ends at a fixed point, or approaches it.

    The time is cut into four windows. A state approaches the point if

    - the largest distance decreases from each window to the next. On a cycle around the point it
      does not;
    - the largest distance decreases by a hundredth in total. A state that diverges also approaches
      a point at infinity;
    - the point is stable. A state that approaches a cycle from outside also comes nearer to the
      point inside the cycle.

    A state that is near without a steady decrease approaches the point if it is linearly stable.

    Args:
        optimizer: any optimizer in float64.
        path: the relaxing states, (n_snapshots, n, n_state).
        point: the fixed points, (n, n_state).
        gradient: (n,).
        possible: which components to test, (n,).
    """
    distance = np.stack([state_distance(state, point) for state in path])
    at_point = distance[-1] <= SAME_POINT_TOLERANCE * state_scale(point)
    windows = distance.reshape(N_WINDOWS, N_SNAPSHOTS // N_WINDOWS, distance.shape[1]).max(axis=1)
    decreasing = np.all(np.diff(windows, axis=0) < 0, axis=0)
    decreasing &= windows[-1] <= MAX_WINDOW_RATIO * windows[0]
    approaches = np.asarray(possible & at_point)
    nearing = np.flatnonzero(possible & decreasing & ~at_point)
    approaches[nearing] = stable(optimizer, point[nearing], gradient[nearing])
    near = distance[-1] <= NEIGHBOURHOOD * state_scale(point)
    undecided = np.flatnonzero(possible & ~decreasing & ~at_point & near)
    approaches[undecided] = linearly_stable(optimizer, point[undecided], gradient[undecided])
    return approaches
