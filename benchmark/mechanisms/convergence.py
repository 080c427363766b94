"""The convergence point h*: the state to which the optimizer settles without a gradient.

F(h*, 0) = h*
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.arrivals import Arrivals, find_arrivals
from loptbench.mechanisms.dynamics.fixed_points import (
    MAX_RESIDUAL,
    MAX_STABLE_EIGENVALUE,
    RELAXATION_STEPS,
    settle,
)
from loptbench.mechanisms.dynamics.linearization import MAX_STATE_SIZE, checked_step, linearize
from loptbench.mechanisms.dynamics.response import MAX_DERIVATIVE_ERROR, NO_RESPONSE, usable_gain
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.protocol import Linearization, Optimizer
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    Coverage,
    FrozenVariable,
    NotApplicable,
)

Float = NDArray[np.float64]

N_STATE_ENTRIES_SHOWN = 4

DEFAULT_STEPS = 201
"""T where there are no real runs."""


def find_convergence_point(
    optimizer: Optimizer,
    starts: Float | None = None,
    statistics: GradientStatistics | None = None,
    frozen: tuple[FrozenVariable, ...] = (),
    typical_update: float | None = None,
    n_steps: int = DEFAULT_STEPS,
) -> ConvergencePointResult | NotApplicable:
    """The fixed point that the autonomous system h ← F(h, 0) reaches from h0.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        starts: other initial states, (n_starts, n_state), such as those of real runs.
        statistics: the gradients that it meets on real runs.
        frozen: the state variables that are frozen in this optimizer, for the record.
        typical_update: root mean square of the updates of real runs; None without runs.
        n_steps: T, the number of steps of real runs.

    Returns: the point, or why there is none.
    """
    statistics = statistics or GradientStatistics.from_run(None)
    h0 = np.asarray(optimizer.initial_state(1))
    reason = no_derivatives(h0)
    if reason:
        return NotApplicable(not_applicable=reason)
    h0, zero = h0.astype(np.float64), np.zeros(1)
    points = settle(optimizer, h0, zero)
    if not points.converged[0]:
        return NotApplicable(not_applicable=_why_none(points.last, float(points.residual[0])))
    h = points.state
    estimate = linearize(optimizer, h, zero, statistics.typical)
    A, B, C, D = (np.asarray(matrix[0], np.float64) for matrix in estimate.linear)
    size = max(float(np.abs(A).max(initial=0.0)), float(np.abs(B).max(initial=0.0)))
    max_error = MAX_DERIVATIVE_ERROR * max(size, MAX_DERIVATIVE_ERROR)
    if not np.isfinite(size) or estimate.state_error > max_error:
        return NotApplicable(
            not_applicable=f"the state comes to rest at {_first_entries(h[0])}, but is not "
            "differentiable there"
        )
    radius = float(np.abs(np.linalg.eigvals(A)).max(initial=0.0))
    update = float(checked_step(optimizer, h, zero)[1][0])
    _, (no_rate,) = usable_gain(optimizer, h, statistics.typical)
    max_error = MAX_DERIVATIVE_ERROR * float(np.abs(C).max(initial=1.0))
    if not no_rate and not estimate.update_error <= max_error:
        no_rate = "the update is not differentiable by the state"
    if no_rate and no_rate != NO_RESPONSE:
        C, D = np.full_like(C, np.nan), np.full_like(D, np.nan)
    is_stable = radius < MAX_STABLE_EIGENVALUE
    starts = np.zeros((0, h.shape[1])) if starts is None else np.asarray(starts, np.float64)
    arrivals = find_arrivals(optimizer, starts, h0[0], h[0], is_stable, n_steps)
    return ConvergencePointResult(
        residual=float(points.residual[0]),
        spectral_radius=radius,
        stable=is_stable,
        drift=_drift(update, typical_update),
        update=update,
        state=h[0],
        other_starts=len(starts),
        other_starts_at_this_point=arrivals.n_exact,
        share_at_point=arrivals.at_point,
        share_nearer=arrivals.nearer,
        other_places=arrivals.n_other_places,
        coverage=_coverage(arrivals, len(starts)),
        linearization_error=max(estimate.state_error, estimate.update_error),
        held=frozen,
        A=A,
        B=B,
        C=C,
        D=float(D),
        no_rate=no_rate,
    )


def linearization_at(point: ConvergencePointResult) -> Linearization:
    """A, B, C, D of one component at the convergence point, without a leading axis."""
    return Linearization(point.A, point.B, point.C, np.asarray(point.D))


def no_derivatives(initial_state: Float) -> str:
    """Why the Jacobians of an optimizer are not formed; "" if they are.

    >>> no_derivatives(np.zeros((1, 2), np.int64))
    'the state is int64: it has no derivatives'
    """
    if not np.issubdtype(initial_state.dtype, np.floating):
        return f"the state is {initial_state.dtype}: it has no derivatives"
    n_state = initial_state.shape[1]
    if n_state > MAX_STATE_SIZE:
        limit = f"Jacobians are formed of at most {MAX_STATE_SIZE:,}"
        return f"the state has {n_state:,} variables: {limit}"
    return ""


def _coverage(arrivals: Arrivals, n_starts: int) -> Coverage:
    if not n_starts:
        return Coverage(share=0.0, missing="there are no states of real runs to start from")
    n_lost = n_starts - arrivals.n_finite
    lost = f"from {n_lost} of {n_starts} states the state grows without bound" if n_lost else ""
    return Coverage(share=arrivals.n_finite / n_starts, missing=lost)


def _drift(update: float, typical_update: float | None) -> float:
    """The update without a gradient, relative to a typical update; NaN without a typical update."""
    if not typical_update or not np.isfinite(update):
        return np.nan
    return update / typical_update + 0.0  # −0 becomes 0


def _first_entries(state: Float) -> str:
    values = ", ".join(f"{value:.4g}" for value in state[:N_STATE_ENTRIES_SHOWN])
    return f"({values}{', …' if state.size > N_STATE_ENTRIES_SHOWN else ''})"


def _why_none(last: Float, residual: float) -> str:
    n_steps = sum(RELAXATION_STEPS)
    if not np.all(np.isfinite(last)):
        return f"without a gradient the state grows without bound within {n_steps} steps"
    unsettled = f"without a gradient the state does not settle within {n_steps} steps"
    if residual <= MAX_RESIDUAL:
        return f"{unsettled}; there is a fixed point, but it does not come to rest there"
    end = "runs away" if np.isinf(residual) else f"ends at a residual of {residual:.1e}"
    return f"no fixed point: {unsettled}; Newton's iteration from there {end}"
