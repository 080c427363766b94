"""A, B, C, D of any optimizer: its own, or by central differences."""

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Array, LinearizableOptimizer, Linearization, Optimizer

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


def linearize(optimizer: Optimizer, state: Array, gradient: Array) -> tuple[Linearization, float]:
    """The optimizer's Jacobians at a state and gradient.

    Args:
        optimizer: any optimizer in float64.
        state: (n_components, n_state).
        gradient: (n_components,).

    Returns: the matrices, and an estimate of their absolute error: zero if the optimizer
    differentiates itself, else that of the central differences.
    """
    if isinstance(optimizer, LinearizableOptimizer):
        return optimizer.linearize(state, gradient), 0.0
    return central_differences(optimizer, state, gradient)


def central_differences(
    optimizer: Optimizer, state: Array, gradient: Array
) -> tuple[Linearization, float]:
    """The Jacobians by central differences, and an estimate of their error.

        ∂f/∂x ≈ (f(x + ε) − f(x − ε)) / 2ε,  ε = u^⅓ · max(1, |x|)

    The error is estimated by the distance from the same with twice the step, which is three times
    the truncation error of the first, and more where rounding dominates.
    """
    fine = _differences(optimizer, state, gradient, STEP)
    coarse = _differences(optimizer, state, gradient, 2 * STEP)
    error = max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(fine, coarse, strict=True))
    return fine, error


def _differences(optimizer: Optimizer, state: Array, gradient: Array, step: float) -> Linearization:
    n_components, n_state = state.shape
    A = np.empty((n_components, n_state, n_state))
    C = np.empty((n_components, n_state))

    def slope(h: NDArray[np.float64], g: NDArray[np.float64]) -> tuple[Array, Array]:
        size_h, size_g = np.abs(h).max(initial=0.0), np.abs(g).max(initial=0.0)
        high = optimizer.step(state + h, gradient + g)
        low = optimizer.step(state - h, gradient - g)
        width = 2 * max(size_h, size_g)
        return (high[0] - low[0]) / width, (high[1] - low[1]) / width

    for unit in range(n_state):
        h = np.zeros_like(state)
        h[:, unit] = step * max(1.0, float(np.abs(state).max()))
        A[:, :, unit], C[:, unit] = slope(h, np.zeros_like(gradient))
    g = np.full_like(gradient, step * max(1.0, float(np.abs(gradient).max(initial=0.0))))
    B, D = slope(np.zeros_like(state), g)
    return Linearization(A, B, C, D)
