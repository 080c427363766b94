"""Momentum: what the linear system at the convergence point does with a gradient.

Near h* the update is the history of the gradient convolved with the impulse response

    κ[0] = D,   κ[t] = C A^(t−1) B,   Σκ = D + C (I − A)⁻¹ B,

and with A = V Λ V⁻¹ it is a sum of modes, κ[t] = Σᵢ cᵢ λᵢ^(t−1), cᵢ = (C V)ᵢ (V⁻¹ B)ᵢ.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eig

from loptbench.mechanisms.convergence import ConvergencePoint
from loptbench.mechanisms.dynamics.response import NO_RESPONSE
from loptbench.mechanisms.values import NotApplicable, listed, or_none
from loptbench.protocol import Linearization, Trajectory

Float = NDArray[np.float64]

RESPONSE_LENGTH = 201
NOTHING = 1e-12
DEFECTIVE = 1e6
"""The condition of an eigenvalue from which on half of the digits of its contribution are lost."""


@dataclasses.dataclass(frozen=True)
class Mode:
    """One eigenvalue of A and its part in the response.

    Attributes:
        eigenvalue: λ.
        timescale: −1/ln|λ|, in iterations.
        contribution: |c / (1 − λ)|, in units of Σκ: the learning rate that it adds; NaN for an
            eigenvalue so ill-conditioned that its part cannot be told from that of its neighbours.
        condition: the eigenvalue's condition number, 1/|yᴴx| for unit left and right eigenvectors.
    """

    eigenvalue: complex
    timescale: float
    contribution: float
    condition: float


@dataclasses.dataclass(frozen=True)
class Explained:
    """What the linear system leaves of the updates of real runs.

    Attributes:
        error: Σ(Δ − predicted)² of each problem, (n_problems,).
        variation: Σ(Δ − mean Δ)² of each problem, the mean being that of all, (n_problems,).
    """

    error: Float
    variation: Float

    @property
    def r2(self) -> float:
        """R² = 1 − Σ error / Σ variation; NaN where nothing varies."""
        total = float(np.sum(self.variation))
        return 1 - float(np.sum(self.error)) / total if total > 0 else np.nan

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {"error": listed(self.error), "variation": listed(self.variation)}


@dataclasses.dataclass(frozen=True)
class Momentum:
    """The momentum of an optimizer at its convergence point.

    Attributes:
        index: m = 1 − κ[0]/Σκ, the share of the total response that comes after the first step.
        effective_rate: −κ[0], the learning rate of a single step.
        asymptotic_rate: −Σκ, the learning rate for a gradient that stays.
        modes: all modes, the largest contribution first.
        impulse_response: κ[0] … κ[200].
        near: how far it explains the updates in the second half of real runs, or None.
        whole: the same of whole runs.
    """

    index: float
    effective_rate: float
    asymptotic_rate: float
    modes: tuple[Mode, ...]
    impulse_response: Float
    near: Explained | None = None
    whole: Explained | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs; complex numbers as [real, imaginary]."""
        told: dict[str, Any] = {
            "index": self.index,
            "effective_rate": self.effective_rate,
            "asymptotic_rate": self.asymptotic_rate,
            "r2_near_convergence": self.near.r2 if self.near else None,
            "r2_whole_run": self.whole.r2 if self.whole else None,
            "impulse_response": listed(self.impulse_response),
            "modes": [
                {
                    "eigenvalue": [mode.eigenvalue.real, mode.eigenvalue.imag],
                    "timescale": or_none(mode.timescale),
                    "contribution": or_none(mode.contribution),
                    "condition": or_none(mode.condition),
                }
                for mode in self.modes
            ],
        }
        explained_ = {"near": self.near, "whole": self.whole}
        return told | {k: one.as_dict() for k, one in explained_.items() if one is not None}


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
            f"point is {point.spectral_radius:.6g}, not below 1 as far as can be told"
        )
    A, B, C, D = point.linear
    first = float(D)
    total = first + float(C @ np.linalg.solve(np.eye(len(B)) - A, B))
    # Without an answer at once there may be one later.
    if point.no_response and not (point.no_response == NO_RESPONSE and total):
        return NotApplicable(f"at the convergence point {point.no_response}")
    if abs(total) <= NOTHING * abs(total - first):
        return NotApplicable("the total response to an impulse is zero")
    near = whole = None
    if trajectory is not None:
        half = trajectory.loss.shape[0] // 2
        near, whole = explained(point, trajectory, half), explained(point, trajectory, 0)
    return Momentum(
        index=1 - first / total,
        effective_rate=0.0 - first,
        asymptotic_rate=-total,
        modes=modes(point.linear),
        impulse_response=impulse_response(point.linear, RESPONSE_LENGTH),
        near=near,
        whole=whole,
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
        contributions[~(conditions < DEFECTIVE)] = np.nan
    order = np.argsort(-np.nan_to_num(contributions, nan=np.inf), kind="stable")
    return tuple(
        Mode(
            complex(eigenvalues[i]),
            float(timescales[i]),
            float(contributions[i]),
            float(conditions[i]),
        )
        for i in order
    )


def explained(point: ConvergencePoint, run: Trajectory, first: int) -> Explained | None:
    """How far the linear system explains the updates of real runs from their gradients.

        δh[k+1] = A δh[k] + B g[k],  Δ[k] ≈ U(h*, 0) + C δh[k] + D g[k],  δh[first] = h[first] − h*

    Args:
        point: the convergence point.
        run: real runs, of the state variables that the point has.
        first: the step from which the linear system runs by itself.

    Returns: None if the updates do not vary, or are not finite.
    """
    A, B, C, D = point.linear
    deviation = run.state[first] - point.state
    n_steps, n_problems = run.loss.shape
    updates = run.update[first:]
    with np.errstate(all="ignore"):
        variation = np.sum((updates - updates.mean()) ** 2, axis=(0, 2))
        error = np.zeros(n_problems)
        for k in range(first, n_steps):
            gradient = run.gradient[k].reshape(-1)
            predicted = point.update + deviation @ C + D * gradient
            off = run.update[k] - predicted.reshape(run.update[k].shape)
            error += np.sum(off**2, axis=1)
            deviation = deviation @ A.T + gradient[:, None] * B
    found = Explained(error, variation)
    return found if np.isfinite(found.r2) else None
