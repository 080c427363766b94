"""Momentum: how the linear system at the convergence point responds to a gradient.

Near h* the update is the history of the gradient convolved with the impulse response

    κ[0] = D,   κ[t] = C A^(t−1) B,   Σκ = D + C (I − A)⁻¹ B,

and with A = V Λ V⁻¹ it is a sum of modes, κ[t] = Σᵢ cᵢ λᵢ^(t−1), cᵢ = (C V)ᵢ (V⁻¹ B)ᵢ.
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.convergence import linearization_at
from loptbench.mechanisms.dynamics.response import NO_RESPONSE
from loptbench.protocol import Linearization, Trajectory
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    Coverage,
    ExplainedResult,
    ModeResult,
    MomentumResult,
    NotApplicable,
)

Float = NDArray[np.float64]

N_LAGS = 201
"""Length of the impulse response."""

MIN_TOTAL_RESPONSE = 1e-12
"""Below this, relative to the response after the first step, the total response counts as zero."""

MAX_EIGENVALUE_CONDITION = 1e6
"""Condition number of an eigenvalue at which half of the digits of its contribution are lost."""


def measure_momentum(
    point: ConvergencePointResult | NotApplicable,
    run: Trajectory | None = None,
    last: Trajectory | None = None,
    missing: str = "",
) -> MomentumResult | NotApplicable:
    """Measure momentum at a convergence point.

    Args:
        point: the convergence point.
        run: real runs, to see how well the linear system predicts their updates.
        last: the last T of 5 T steps of them.
        missing: why some runs are missing.

    Returns: the measurement, or why there is none.
    """
    if isinstance(point, NotApplicable):
        return point
    if not point.stable:
        return NotApplicable(
            not_applicable="the response to an impulse never ends: the spectral radius at the "
            f"convergence point is {point.spectral_radius:.6g}, not below 1 as far as can be told"
        )
    linear = linearization_at(point)
    A, B, C, D = linear
    first = float(D)
    total = first + float(C @ np.linalg.solve(np.eye(len(B)) - A, B))
    # Without an immediate response there may be a later one.
    if point.no_rate and not (point.no_rate == NO_RESPONSE and total):
        return NotApplicable(not_applicable=f"at the convergence point {point.no_rate}")
    if abs(total) <= MIN_TOTAL_RESPONSE * abs(total - first):
        return NotApplicable(not_applicable="the total response to an impulse is zero")
    near = whole = None
    if run is not None:
        near = explained_updates(point, run, run.loss.shape[0] // 2)
        whole = explained_updates(point, run, 0)
    near_the_end = None if last is None else explained_updates(point, last, 0)
    return MomentumResult(
        index=1 - first / total,
        effective_rate=0.0 - first,
        asymptotic_rate=-total,
        r2_near_convergence=r_squared(near),
        r2_whole_run=r_squared(whole),
        impulse_response=impulse_response(linear, N_LAGS),
        modes=modes(linear),
        near=near,
        whole=whole,
        r2_last=r_squared(near_the_end),
        distance_last=_relative_distance(point, run, last),
        last=near_the_end,
        coverage=_coverage(run, last, missing),
    )


def _relative_distance(
    point: ConvergencePointResult, run: Trajectory | None, last: Trajectory | None
) -> float:
    """The median ‖h − h*‖ over the last steps, relative to that over the first T; or NaN."""
    if run is None or last is None:
        return np.nan
    first, later = (
        float(np.median(np.linalg.norm(part.state - point.state, axis=2))) for part in (run, last)
    )
    return later / first if first > 0 else np.nan


def _coverage(run: Trajectory | None, last: Trajectory | None, missing: str) -> Coverage:
    """Of the problems of real runs, those that go on to 5 T steps."""
    if run is None or last is None:
        return Coverage(share=0.0, missing=missing or "there are no real runs")
    n_problems, n_last = run.loss.shape[1], last.loss.shape[1]
    if n_last < n_problems:
        shortened = f"{n_last} of {n_problems} runs go on to 5 T steps"
        missing = f"{missing}; {shortened}" if missing else shortened
    return Coverage(share=n_last / n_problems, missing=missing)


def impulse_response(linear: Linearization, n_lags: int) -> Float:
    """κ[0] … κ[n_lags − 1] of one component, (n_lags,).

    >>> linear = Linearization(np.array([[0.5]]), np.ones(1), -np.ones(1), np.asarray(-2.0))
    >>> impulse_response(linear, 4).tolist()
    [-2.0, -1.0, -0.5, -0.25]
    """
    A, B, C, D = linear
    kappa = np.empty(n_lags)
    kappa[0] = D
    h = np.asarray(B, np.float64)
    for t in range(1, n_lags):
        kappa[t] = C @ h
        h = A @ h
    return kappa


def modes(linear: Linearization) -> tuple[ModeResult, ...]:
    """The modes of one component, the largest contribution first."""
    from scipy.linalg import eig

    A, B, C, _ = linear
    if not A.size:
        return ()
    eigenvalues, left, right = eig(A, left=True)
    # Rows of V⁻¹ are left eigenvectors divided by their overlap with the right ones.
    overlap = np.einsum("ji,ji->i", left.conj(), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        c = (C @ right) * (left.conj().T @ B) / overlap
        contributions = np.abs(c / (1 - eigenvalues))
        timescales = -1 / np.log(np.abs(eigenvalues))
        conditions = 1 / np.abs(overlap)
        contributions[~(conditions < MAX_EIGENVALUE_CONDITION)] = np.nan
    order = np.argsort(-np.nan_to_num(contributions, nan=np.inf), kind="stable")
    return tuple(
        ModeResult(
            eigenvalue=(float(eigenvalues[i].real), float(eigenvalues[i].imag)),
            timescale=float(timescales[i]),
            contribution=float(contributions[i]),
            condition=float(conditions[i]),
        )
        for i in order
    )


def explained_updates(
    point: ConvergencePointResult, run: Trajectory, first: int
) -> ExplainedResult | None:
    """How well the linear system predicts the updates of real runs from their gradients.

        δh[k+1] = A δh[k] + B g[k],  Δ[k] ≈ U(h*, 0) + C δh[k] + D g[k],  δh[first] = h[first] − h*

    Args:
        point: the convergence point.
        run: real runs, of the state variables that the point has.
        first: the step from which the linear system evolves by itself.

    Returns: the errors, or None if the updates do not vary, or are not finite.
    """
    A, B, C, D = linearization_at(point)
    deviation = run.state[first] - point.state
    n_steps, n_problems = run.loss.shape
    updates = run.update[first:]
    with np.errstate(all="ignore"):
        variation = np.sum((updates - updates.mean()) ** 2, axis=(0, 2))
        error = np.zeros(n_problems)
        for k in range(first, n_steps):
            gradient = run.gradient[k].reshape(-1)
            predicted = point.update + deviation @ C + D * gradient
            difference = run.update[k] - predicted.reshape(run.update[k].shape)
            error += np.sum(difference**2, axis=1)
            deviation = deviation @ A.T + gradient[:, None] * B
        explained = ExplainedResult(error=error, variation=variation)
        return explained if np.isfinite(r_squared(explained)) else None


def r_squared(explained: ExplainedResult | None) -> float:
    """R² = 1 − Σ error / Σ variation; NaN where nothing varies, or without a measurement.

    >>> r_squared(ExplainedResult(error=np.array([1.0]), variation=np.array([4.0])))
    0.75
    """
    if explained is None:
        return np.nan
    total = float(np.sum(explained.variation))
    return 1 - float(np.sum(explained.error)) / total if total > 0 else np.nan
