"""The convergence point: where the optimizer rests when nothing drives it."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.counters import FrozenVariable
from loptbench.mechanisms.dynamics.fixed_points import (
    MAX_RESIDUAL,
    MAX_STABLE_EIGENVALUE,
    RELAXATION_STEPS,
    SAME_POINT_TOLERANCE,
    settle,
)
from loptbench.mechanisms.dynamics.linearization import MAX_STATE_SIZE, checked_step, linearize
from loptbench.mechanisms.dynamics.response import MAX_DERIVATIVE_ERROR, NO_RESPONSE, usable_gain
from loptbench.mechanisms.values import GradientStatistics, NotApplicable, listed, or_none
from loptbench.protocol import Linearization, Optimizer

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ConvergencePoint:
    """h* with F(h*, 0) = h*, and the linear system there.

    Attributes:
        state: h*, (n_state,), of the state variables that are not held.
        residual: max |F(h*, 0) − h*| relative to max(1, |h*|).
        spectral_radius: the largest |eigenvalue| of A(h*); the point is stable if it is below 1, by
            more than residuals and rounding leave open.
        linear: A, B, C, D at h* with no gradient, of one component.
        linear_error: an estimate of their absolute error, 0 if the optimizer differentiates itself;
            infinite where the update has no derivative.
        update: U(h*, 0): what is still added to every parameter once all gradients are gone; it may
            not be finite.
        no_response: why D is no learning rate; "" if it is one.
        n_starts: how many other starts were relaxed.
        n_same: how many of them reached this point.
        held: the clocks and constants among the state variables.
    """

    state: Float
    residual: float
    spectral_radius: float
    linear: Linearization
    linear_error: float
    update: float
    no_response: str = ""
    n_starts: int = 0
    n_same: int = 0
    held: tuple[FrozenVariable, ...] = ()

    @property
    def stable(self) -> bool:
        """Whether small disturbances die out."""
        return self.spectral_radius < MAX_STABLE_EIGENVALUE

    def as_dict(self, drift: float | None) -> dict[str, Any]:
        """For programs; None for derivatives of an update that has none.

        Args:
            drift: `update` relative to a typical update, if one is known.
        """
        A, B, C, D = self.linear
        if self.no_response and self.no_response != NO_RESPONSE:
            C, D = (np.full_like(one, np.nan) for one in (C, D))
        return {
            "residual": self.residual,
            "spectral_radius": self.spectral_radius,
            "stable": self.stable,
            "drift": drift,
            "update": or_none(self.update),
            "state": self.state.tolist(),
            "other_starts": self.n_starts,
            "other_starts_at_this_point": self.n_same,
            "linearization_error": or_none(self.linear_error),
            "held": [dataclasses.asdict(one) for one in self.held],
            "A": listed(A),
            "B": listed(B),
            "C": listed(C),
            "D": listed(D),
        }


def find_convergence_point(
    optimizer: Optimizer,
    starts: Float | None = None,
    met: GradientStatistics | None = None,
    held: tuple[FrozenVariable, ...] = (),
) -> ConvergencePoint | NotApplicable:
    """The fixed point that the autonomous system h ← F(h, 0) reaches from h0.

    Args:
        optimizer: any optimizer in float64.
        starts: other states to start from, (n_starts, n_state), such as those met on real runs.
        met: the gradients that it meets.
        held: the state variables that are held in this optimizer, for the record.

    Returns: the point, or why there is none.
    """
    met = met or GradientStatistics.from_run(None)
    h0 = np.asarray(optimizer.initial_state(1))
    if not np.issubdtype(h0.dtype, np.floating):
        return NotApplicable(f"the state is {h0.dtype}: it has no derivatives")
    if h0.shape[1] > MAX_STATE_SIZE:
        return NotApplicable(
            f"the state has {h0.shape[1]:,} variables: Jacobians are formed of at most "
            f"{MAX_STATE_SIZE:,}"
        )
    h0, zero = h0.astype(np.float64), np.zeros(1)
    found = settle(optimizer, h0, zero)
    if not found.converged[0]:
        return NotApplicable(_why_not(found.last, float(found.residual[0])))
    h, scale = found.state, max(1.0, float(np.abs(found.state).max(initial=0.0)))
    linear, error, update_error = linearize(optimizer, h, zero, met.typical)
    one = Linearization(*(np.asarray(matrix[0], np.float64) for matrix in linear))
    size = max(float(np.abs(one.A).max(initial=0.0)), float(np.abs(one.B).max(initial=0.0)))
    if not np.isfinite(size) or error > MAX_DERIVATIVE_ERROR * max(size, MAX_DERIVATIVE_ERROR):
        return NotApplicable(
            f"the state comes to rest at {_few(h[0])}, but is not differentiable there"
        )
    radius = float(np.abs(np.linalg.eigvals(one.A)).max(initial=0.0))
    n_same, n_starts = 0, 0 if starts is None else len(starts)
    if starts is not None and n_starts:
        ends = settle(optimizer, np.asarray(starts, np.float64), np.zeros(n_starts))
        with np.errstate(invalid="ignore"):
            distance = np.abs(ends.state - h).max(axis=1, initial=0.0)
        n_same = int(np.sum(distance <= SAME_POINT_TOLERANCE * scale))
    update = float(checked_step(optimizer, h, zero)[1][0])
    _, (no_response,) = usable_gain(optimizer, h, met.typical)
    if not no_response and not update_error <= MAX_DERIVATIVE_ERROR * float(
        np.abs(one.C).max(initial=1.0)
    ):
        no_response = "the update is not differentiable by the state"
    return ConvergencePoint(
        h[0],
        float(found.residual[0]),
        radius,
        one,
        max(error, update_error),
        update,
        no_response,
        n_starts,
        n_same,
        held,
    )


def _few(state: Float) -> str:
    values = ", ".join(f"{value:.4g}" for value in state[:4])
    return f"({values}{', …' if state.size > 4 else ''})"


def _why_not(last: Float, residual: float) -> str:
    if not np.all(np.isfinite(last)):
        return (
            f"without a gradient the state grows without bound within {sum(RELAXATION_STEPS)} steps"
        )
    settles = f"without a gradient the state does not settle within {sum(RELAXATION_STEPS)} steps"
    if residual <= MAX_RESIDUAL:
        return f"{settles}; there is a fixed point, but it does not come to rest there"
    return (
        f"no fixed point: {settles}; Newton's iteration from there ends at a residual of "
        f"{residual:.1e}"
    )
