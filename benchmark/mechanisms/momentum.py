"""Momentum: what the linear system at the convergence point does with a gradient.

Near h* the update is the history of the gradient convolved with the impulse response

    κ[0] = D,   κ[t] = C A^(t−1) B,   Σκ = D + C (I − A)⁻¹ B,

and with A = V Λ V⁻¹ it is a sum of modes, κ[t] = Σᵢ cᵢ λᵢ^(t−1), cᵢ = (C V)ᵢ (V⁻¹ B)ᵢ.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eig

from loptbench.mechanisms.convergence import ConvergencePoint, NotApplicable
from loptbench.protocol import Linearization, Trajectory

Float = NDArray[np.float64]

RESPONSE_LENGTH = 201


@dataclasses.dataclass(frozen=True)
class Mode:
    """One eigenvalue of A and its part in the response.

    Attributes:
        eigenvalue: λ.
        timescale: −1/ln|λ|, in iterations.
        contribution: |c / (1 − λ)|, in units of Σκ: the learning rate that it adds.
        condition: the eigenvalue's condition number, 1/|yᴴx| for unit left and right eigenvectors.
    """

    eigenvalue: complex
    timescale: float
    contribution: float
    condition: float


@dataclasses.dataclass(frozen=True)
class Momentum:
    """The momentum of an optimizer at its convergence point.

    Attributes:
        index: m = 1 − κ[0]/Σκ, the share of the total response that comes after the first step.
        effective_rate: −κ[0], the learning rate of a single step.
        asymptotic_rate: −Σκ, the learning rate for a gradient that stays.
        modes: all modes, the largest contribution first.
        impulse_response: κ[0] … κ[200].
        r2_near: R² of the linear prediction of updates in the second half of real runs, or None.
        r2_whole: R² over the whole runs, or None.
    """

    index: float
    effective_rate: float
    asymptotic_rate: float
    modes: tuple[Mode, ...]
    impulse_response: Float
    r2_near: float | None = None
    r2_whole: float | None = None


def measure_momentum(
    point: ConvergencePoint | NotApplicable, trajectory: Trajectory | None = None
) -> Momentum | NotApplicable:
    """Measure momentum at a convergence point.

    Args:
        point: the convergence point.
        trajectory: real runs, to see how far the linear system explains their updates.

    Returns: the measurement, or why there is none.
    """
    if isinstance(point, NotApplicable):
        return point
    if not point.stable:
        return NotApplicable(
            f"the response to an impulse never ends: the spectral radius at the convergence "
            f"point is {point.spectral_radius:.6g}, not below 1"
        )
    A, B, C, D = point.linear
    first = float(D)
    total = first + float(C @ np.linalg.solve(np.eye(len(B)) - A, B))
    if total == 0:
        return NotApplicable("the total response to an impulse is zero")
    near = whole = None
    if trajectory is not None:
        half = trajectory.loss.shape[0] // 2
        near, whole = linear_r2(point, trajectory, half), linear_r2(point, trajectory, 0)
    return Momentum(
        index=1 - first / total,
        effective_rate=-first,
        asymptotic_rate=-total,
        modes=modes(point.linear),
        impulse_response=impulse_response(point.linear, RESPONSE_LENGTH),
        r2_near=near,
        r2_whole=whole,
    )


def impulse_response(linear: Linearization, length: int) -> Float:
    """κ[0] … κ[length − 1] of one component."""
    A, B, C, D = linear
    kappa = np.empty(length)
    kappa[0] = D
    h = np.asarray(B, np.float64)
    for t in range(1, length):
        kappa[t] = C @ h
        h = A @ h
    return kappa


def modes(linear: Linearization) -> tuple[Mode, ...]:
    """The modes of one component, the largest contribution first."""
    A, B, C, _ = linear
    if not A.size:
        return ()
    eigenvalues, left, right = eig(A, left=True)
    # Rows of V⁻¹ are left eigenvectors over their overlap with the right ones.
    overlap = np.einsum("ji,ji->i", left.conj(), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        c = (C @ right) * (left.conj().T @ B) / overlap
        contributions = np.abs(c / (1 - eigenvalues))
        timescales = -1 / np.log(np.abs(eigenvalues))
        conditions = 1 / np.abs(overlap)
    order = np.argsort(-np.nan_to_num(contributions, nan=0.0), kind="stable")
    return tuple(
        Mode(
            complex(eigenvalues[i]),
            float(timescales[i]),
            float(contributions[i]),
            float(conditions[i]),
        )
        for i in order
    )


def linear_r2(point: ConvergencePoint, run: Trajectory, first: int) -> float | None:
    """R² of the updates that the linear system predicts from the gradients of real runs.

        δh[k+1] = A δh[k] + B g[k],  Δ[k] ≈ U(h*, 0) + C δh[k] + D g[k],  δh[first] = h[first] − h*

    Args:
        point: the convergence point.
        run: real runs.
        first: the step from which the linear system runs by itself.

    Returns: 1 − Σ(Δ − predicted)² / Σ(Δ − mean Δ)²; None if the updates do not vary, or are not
    finite.
    """
    A, B, C, D = point.linear
    deviation = run.state[first] - point.state
    error = 0.0
    n_steps = run.loss.shape[0]
    for k in range(first, n_steps):
        gradient = run.gradient[k].reshape(-1)
        predicted = point.update + deviation @ C + D * gradient
        error += float(np.sum((run.update[k].reshape(-1) - predicted) ** 2))
        deviation = deviation @ A.T + gradient[:, None] * B
    updates = run.update[first:]
    total = float(np.sum((updates - updates.mean()) ** 2))
    r2 = 1 - error / total if total > 0 else np.nan
    return r2 if np.isfinite(r2) else None
