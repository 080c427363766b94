"""Where an optimizer's state rests under a gradient that stays: F(h*(g), g) = h*(g).

Many gradients and many starts at once. The state is first let go by itself, since it is where it
*settles* that counts, and then polished by Newton's iteration with the Jacobian A,

    h ← h − (A − I)⁻¹ (F(h, g) − h),

which gets from a distance of 1e-2 to rounding in three or four steps, however slow the modes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import (
    BLOCK_FLOATS,
    checked_step,
    quick_linearization,
)
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

RELAXATION = (250, 2_000)
"""Steps that the state is let go for: those that have not settled after the first go on."""

SNAPSHOTS = 64
WINDOWS = 4
NEAR = 1e-2
NEARER = 0.99
STILL = 1e-9
NEWTON_STEPS = 50
RESIDUAL = 1e-12
DISTURBANCE = 1e-5
ZERO = 1e-290
"""What is smaller is zero that Newton's iteration came to: nothing is left of a share of it."""
DISTURBED_STEPS = 100
CLEARLY = 0.9
BRANCH = 0.1
BELOW_ONE = 1 - 1e-9
"""The largest |eigenvalue| of a point that is called stable. What is nearer to 1, or a little
above, residuals of 1e-12 and rounding do not tell from an integrator, whose answer never ends."""

SAME_POINT = 1e-6


class FixedPoints(NamedTuple):
    """Fixed points, one for each gradient.

    Attributes:
        state: h*(g), (n, n_state); NaN where none was reached.
        residual: max |F(h*, g) − h*| relative to max(1, |h*|), (n,).
        found: whether it is at most 1e-12 and the state comes to rest there, (n,).
        last: where the state was when it was last seen moving by itself, (n, n_state).
    """

    state: Float
    residual: Float
    found: Bool
    last: Float

    def of(self, which: NDArray[np.int64]) -> "FixedPoints":
        """Some of them."""
        return FixedPoints(
            self.state[which], self.residual[which], self.found[which], self.last[which]
        )

    def put(self, which: NDArray[np.int64], others: "FixedPoints") -> None:
        """Replace some of them."""
        for field, new in zip(self, others, strict=True):
            field[which] = new


def settle(
    optimizer: Optimizer,
    start: Float,
    gradient: Float,
    known: FixedPoints | None = None,
    relaxation: Sequence[int] = RELAXATION,
) -> FixedPoints:
    """Where the state comes to rest under constant gradients.

    Args:
        optimizer: any optimizer in float64.
        start: where each begins, (n, n_state).
        gradient: the gradient of each, (n,).
        known: fixed points of the same gradients, such as those of a branch. Where Newton's
            iteration ends elsewhere, the state may be on its way to one of them.
        relaxation: the steps that it is let go for, in stages.
    """
    n = len(gradient)
    state = np.full_like(start, np.nan)
    residual, found, last = np.full(n, np.inf), np.zeros(n, bool), start.copy()
    for n_steps in relaxation:
        todo = np.flatnonzero(~found)
        if not todo.size:
            break
        path = _relax(optimizer, last[todo], gradient[todo], n_steps)
        last[todo] = path[-1]
        finite = np.all(np.isfinite(path[-1]), axis=1)
        todo, path = todo[finite], path[:, finite]
        point, small = newton(optimizer, last[todo], gradient[todo])
        residual[todo] = small
        rests = _comes_to(optimizer, path, point, gradient[todo], small <= RESIDUAL)
        if known is not None:
            other, its = known.state[todo], known.residual[todo]
            possible = ~rests & known.found[todo]
            rests_there = _comes_to(optimizer, path, other, gradient[todo], possible)
            point[rests_there], residual[todo[rests_there]] = other[rests_there], its[rests_there]
            rests |= rests_there
        found[todo] = rests
        state[todo] = np.where(found[todo][:, None], point, np.nan)
    return FixedPoints(state, residual, found, last)


def beside(optimizer: Optimizer, gradients: Float, points: FixedPoints) -> FixedPoints:
    """The fixed points next to those that are known, where none is: Newton's iteration from there.

    Args:
        optimizer: any optimizer in float64.
        gradients: of one sign, in order, (n,).
        points: where the state settles under each.
    """
    found = points.of(np.arange(len(gradients)))
    here, todo = np.flatnonzero(points.found), np.flatnonzero(~points.found)
    if here.size and todo.size:
        nearest = here[np.abs(here - todo[:, None]).argmin(axis=1)]
        state, residual = newton(optimizer, points.state[nearest], gradients[todo])
        found.put(todo, FixedPoints(state, residual, residual <= RESIDUAL, points.last[todo]))
    return found


def trace(optimizer: Optimizer, start: Float, gradients: Float, points: FixedPoints) -> FixedPoints:
    """The branch of fixed points that one without a gradient is continued to.

    From each point the next is predicted along the tangent of the curve, dh*/dg = (I − A)⁻¹ B, and
    corrected by Newton's iteration. Where all settle to what their neighbours predict, that is the
    branch, and it takes one batch to see; from the first that does not, it is followed point by
    point. A branch that ends, at a fold, is not jumped off: from there on nothing is found.

    Args:
        optimizer: any optimizer in float64.
        start: the fixed point without a gradient, (n_state,).
        gradients: outwards from zero, (n,).
        points: where the state settles under each.
    """
    n = len(gradients)
    # A state variable may go far: what is a jump is a share of how far it goes.
    reach = np.maximum(1.0, np.abs(points.state[points.found]).max(axis=0, initial=0.0))
    at = np.concatenate([start[None], points.state[:-1]])
    g = np.concatenate([[0.0], gradients[:-1]])
    known = np.concatenate([[True], points.found[:-1]]) & points.found
    state, residual, kept = _next(optimizer, at[known], g[known], gradients[known], reach)
    apart = _distance(state, points.state[known])
    known[known] = kept & (apart <= SAME_POINT * _size(state))
    n_known = n if known.all() else int(known.argmin())
    branch = points.of(np.arange(n))
    branch.state[n_known:], branch.residual[n_known:] = np.nan, np.inf
    branch.found[n_known:] = False
    for i in range(n_known, n):
        last, before = (branch.state[i - 1], gradients[i - 1]) if i else (start, 0.0)
        state, residual, kept = _next(
            optimizer, last[None], np.array([before]), gradients[i : i + 1], reach
        )
        if not kept[0]:
            break
        branch.state[i], branch.residual[i], branch.found[i] = state[0], residual[0], True
    return branch


def _next(
    optimizer: Optimizer, at: Float, gradient: Float, then: Float, reach: Float
) -> tuple[Float, Float, Bool]:
    """The fixed points beside others, under gradients a little further on; and whether they are."""
    A, B, *_ = quick_linearization(optimizer, at, gradient)
    tangent = _solve(np.eye(at.shape[1]) - A, B[:, :, None])[:, :, 0]
    guess = at + (then - gradient)[:, None] * tangent
    state, residual = newton(optimizer, guess, then)
    near = _distance(state / reach, guess / reach) <= BRANCH
    return state, residual, (residual <= RESIDUAL) & near


def stable(optimizer: Optimizer, state: Float, gradient: Float) -> Bool:
    """Whether small disturbances of fixed points die out, (n,).

    Each state variable is disturbed by 1e-5 of its size. Where the largest distance in the second
    hundred steps is not clearly smaller than in the first, and not rounding alone, the eigenvalues
    of A decide.
    """
    if not state.size:
        return np.ones(len(state), bool)
    rng = np.random.default_rng(0)
    sizes = np.where(np.abs(state) < ZERO, 1.0, np.abs(state))
    h = state + DISTURBANCE * sizes * rng.choice([-1.0, 1.0], state.shape)
    largest = np.zeros((2, len(state)))
    for i in range(2):
        for _ in range(DISTURBED_STEPS):
            h = _step(optimizer, h, gradient)
            with np.errstate(invalid="ignore"):
                largest[i] = np.maximum(largest[i], np.abs((h - state) / sizes).max(axis=1))
    dies_out = (largest[1] < CLEARLY * largest[0]) | (largest[1] < STILL)
    rest = np.flatnonzero(~dies_out)
    dies_out[rest] = attracts(optimizer, state[rest], gradient[rest])
    return np.asarray(dies_out)


def attracts(optimizer: Optimizer, state: Float, gradient: Float) -> Bool:
    """Whether all eigenvalues of A at fixed points are below 1, (n,)."""
    found = np.zeros(len(state), bool)
    for i in range(len(state)):
        A = quick_linearization(optimizer, state[i : i + 1], gradient[i : i + 1]).A[0]
        if np.all(np.isfinite(A)):
            found[i] = np.abs(np.linalg.eigvals(A)).max(initial=0.0) < BELOW_ONE
    return found


def conditions(optimizer: Optimizer, state: Float, gradient: Float) -> Float:
    """‖(I − A)⁻¹‖∞ at each state: how far an error in F moves a fixed point, (n,)."""
    n, n_state = state.shape
    found = np.ones(n)
    size = max(1, BLOCK_FLOATS // max(1, n_state**2))
    for first in range(0, n if n_state else 0, size):
        part = slice(first, first + size)
        A = quick_linearization(optimizer, state[part], gradient[part]).A
        with np.errstate(all="ignore"):
            inverse = _solve(np.eye(n_state) - A, np.eye(n_state))
        found[part] = np.abs(inverse).sum(axis=2).max(axis=1)
    return found


def newton(optimizer: Optimizer, h: Float, gradient: Float) -> tuple[Float, Float]:
    """Newton's iteration on F(h, g) − h = 0 from every start, and the residuals, (n,).

    Each start keeps the best point that it has seen, and is left alone once a step does not improve
    it.
    """
    best, smallest = h.copy(), _residual(optimizer, h, gradient)
    going = np.flatnonzero((smallest > 0) & np.isfinite(smallest))
    size = max(1, BLOCK_FLOATS // max(1, h.shape[1] ** 2))
    for _ in range(NEWTON_STEPS):
        if not going.size or not h.shape[1]:
            break
        better = np.zeros(going.size, bool)
        for first in range(0, going.size, size):
            part = going[first : first + size]
            at, g = best[part], gradient[part]
            A = quick_linearization(optimizer, at, g).A
            speed = (_step(optimizer, at, g) - at)[:, :, None]
            moved = at - _solve(A - np.eye(h.shape[1]), speed)[:, :, 0]
            residual = _residual(optimizer, moved, g)
            improved = residual < smallest[part]
            best[part[improved]], smallest[part[improved]] = moved[improved], residual[improved]
            better[first : first + size] = improved & (residual > 0)
        going = going[better]
    return best, smallest


def _solve(matrix: Float, right: Float) -> Float:
    """The solutions of linear systems; the shortest ones where a matrix is singular.

    Args:
        matrix: (n, n_state, n_state).
        right: (n, n_state, ...).
    """
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        usable = np.where(np.isfinite(matrix), matrix, 0.0)
        return np.asarray(np.linalg.pinv(usable) @ right)


def _step(optimizer: Optimizer, h: Float, gradient: Float) -> Float:
    return np.asarray(checked_step(optimizer, h, gradient)[0], np.float64)


def _size(h: Float) -> Float:
    return np.asarray(np.maximum(1.0, np.abs(h).max(axis=1, initial=0.0)))


def _distance(a: Float, b: Float) -> Float:
    return np.asarray(np.abs(a - b).max(axis=-1, initial=0.0))


def _residual(optimizer: Optimizer, h: Float, gradient: Float) -> Float:
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(
            _distance(_step(optimizer, h, gradient), h) / _size(h), nan=np.inf, posinf=np.inf
        )


def _relax(optimizer: Optimizer, h: Float, gradient: Float, n_steps: int) -> Float:
    """The state at 64 times, evenly over the steps, (64, n, n_state); who rests is left alone."""
    h = h.copy()
    going = np.arange(len(h))
    path: list[Float] = []
    for k in range(1, n_steps + 1):
        if going.size:
            moved = _step(optimizer, h[going], gradient[going])
            with np.errstate(invalid="ignore", over="ignore"):
                speed = _distance(moved, h[going]) / _size(moved)
            h[going] = moved
            going = going[np.isfinite(speed) & (speed > STILL)]
        if k * SNAPSHOTS // n_steps > len(path):
            path.append(h.copy())
    return np.stack(path)


def _comes_to(
    optimizer: Optimizer, path: Float, point: Float, gradient: Float, possible: Bool
) -> Bool:
    """Whether a state that was let go ends at a point, or comes nearer and nearer to it.

    The time is cut into four windows, and the largest distance in each must be smaller than in the
    one before: that of a cycle around the point is not. In all it must fall by a hundredth: a state
    that wanders off for ever comes nearer to a point at infinity as well. And small disturbances of
    the point must die out: a state comes nearer to a cycle around it, too, that it starts outside
    of. One that is near, and does none of this, is on its way there if they do.
    """
    distance = np.stack([_distance(at, point) for at in path])
    there = distance[-1] <= SAME_POINT * _size(point)
    windows = distance.reshape(WINDOWS, SNAPSHOTS // WINDOWS, distance.shape[1]).max(axis=1)
    nearer = np.all(np.diff(windows, axis=0) < 0, axis=0) & (windows[-1] <= NEARER * windows[0])
    comes = np.asarray(possible & there)
    coming = np.flatnonzero(possible & nearer & ~there)
    comes[coming] = stable(optimizer, point[coming], gradient[coming])
    near = np.flatnonzero(possible & ~nearer & ~there & (distance[-1] <= NEAR * _size(point)))
    comes[near] = attracts(optimizer, point[near], gradient[near])
    return comes
