"""The convergence point: where the optimizer rests when nothing drives it."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.linearization import linearize
from loptbench.protocol import Linearization, Optimizer

Float = NDArray[np.float64]

RELAXATION_STEPS = 2_000
NEWTON_STEPS = 50
RESIDUAL = 1e-12
SAME_POINT = 1e-6


@dataclasses.dataclass(frozen=True)
class NotApplicable:
    """A probe that has no answer here, and why; it stands in the place of a number."""

    reason: str


@dataclasses.dataclass(frozen=True)
class ConvergencePoint:
    """h* with F(h*, 0) = h*, and the linear system there.

    Attributes:
        state: h*, (n_state,).
        residual: max |F(h*, 0) − h*|.
        spectral_radius: the largest |eigenvalue| of A(h*); the point is stable if it is below 1.
        linear: A, B, C, D at h* with no gradient, of one component.
        linear_error: an estimate of their absolute error; 0 if the optimizer differentiates itself.
        update: U(h*, 0): what is still added to every parameter once all gradients are gone.
        n_starts: how many other starts were relaxed.
        n_same: how many of them reached this point.
    """

    state: Float
    residual: float
    spectral_radius: float
    linear: Linearization
    linear_error: float
    update: float
    n_starts: int
    n_same: int

    @property
    def stable(self) -> bool:
        """Whether small disturbances die out."""
        return self.spectral_radius < 1


def find_convergence_point(
    optimizer: Optimizer, starts: Float | None = None
) -> ConvergencePoint | NotApplicable:
    """The fixed point that the autonomous system h ← F(h, 0) reaches from h0.

    Relax, then Newton on F(h, 0) − h = 0 with the Jacobian A: h ← h − (A − I)⁻¹ (F(h, 0) − h).

    Args:
        optimizer: any optimizer in float64.
        starts: other states to start from, (n_starts, n_state), such as those met on real runs.

    Returns: the point, or why there is none.
    """
    h0 = np.asarray(optimizer.initial_state(1), np.float64)
    relaxed = _relax(optimizer, h0)
    if not np.all(np.isfinite(relaxed)):
        return NotApplicable(
            f"without a gradient the state grows without bound within {RELAXATION_STEPS} steps"
        )
    found = _newton(optimizer, relaxed)
    scale = max(1.0, float(np.abs(found).max(initial=0.0)))
    residual = float(np.abs(_speed(optimizer, found)).max(initial=0.0))
    if not residual <= RESIDUAL * scale:
        return NotApplicable(
            f"no fixed point: without a gradient the state still moves by {residual:.1e} after "
            f"{RELAXATION_STEPS} steps and Newton's iteration"
        )
    away = float(np.abs(found - relaxed).max(initial=0.0))
    if away > 1e-2 * scale:
        return NotApplicable(
            f"the state does not settle: Newton's fixed point lies {away:.1e} from where it is "
            f"after {RELAXATION_STEPS} steps without a gradient"
        )
    no_gradient = np.zeros(1)
    linear, error = linearize(optimizer, found, no_gradient)
    one = Linearization(*(np.asarray(matrix[0], np.float64) for matrix in linear))
    radius = float(np.abs(np.linalg.eigvals(one.A)).max(initial=0.0))
    n_starts, n_same = 0, 0
    if starts is not None and len(starts):
        ends = _newton(optimizer, _relax(optimizer, np.asarray(starts, np.float64)))
        distance = np.abs(ends - found).max(axis=1, initial=0.0)
        n_starts, n_same = len(starts), int(np.sum(distance <= SAME_POINT * scale))
    update = float(optimizer.step(found, no_gradient)[1][0])
    return ConvergencePoint(found[0], residual, radius, one, error, update, n_starts, n_same)


def _speed(optimizer: Optimizer, h: Float) -> Float:
    return np.asarray(optimizer.step(h, np.zeros(len(h)))[0], np.float64) - h


def _relax(optimizer: Optimizer, h: Float) -> Float:
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(RELAXATION_STEPS):
            speed = _speed(optimizer, h)
            h = h + speed
            if not np.all(np.isfinite(h)) or np.abs(speed).max(initial=0.0) < 1e-9:
                break
    return h


def _newton(optimizer: Optimizer, h: Float) -> Float:
    # Each start keeps the best point it has seen: a step that leads away is not taken further.
    best, smallest = h, np.abs(_speed(optimizer, h)).max(axis=1, initial=0.0)
    for _ in range(NEWTON_STEPS):
        if not h.size or np.all(smallest == 0):
            break
        speed = _speed(optimizer, h)
        A = linearize(optimizer, h, np.zeros(len(h)))[0].A
        try:
            h = h - np.linalg.solve(A - np.eye(h.shape[1]), speed[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break
        residual = np.abs(_speed(optimizer, h)).max(axis=1, initial=0.0)
        better = residual < smallest
        if not better.any():
            break
        best = np.where(better[:, None], h, best)
        smallest = np.where(better, residual, smallest)
    return best
