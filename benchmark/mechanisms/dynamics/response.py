"""The gain of an optimizer, and whether its update is linear in small gradients at all.

The gain D = ∂U/∂g is a learning rate only if the update is smooth on the scale of the gradients
that the optimizer meets. RMSProp at v = 0 is smooth only below |g| = ε. Its D there is −α/ε, ten
million times the rate that any real gradient gets.
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step, gain
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]

SMALL_GRADIENT_FRACTION = 1e-4
"""A gradient counts as small below this fraction of a typical one. The update must be linear there.
RMSProp and Adam with ε = 1e-8 at rest are not, whatever their γ. A clip at a hundredth of a typical
gradient is."""

MAX_NONLINEARITY = 0.1
"""Largest deviation from linearity for small gradients, relative to the linear part."""

MAX_DERIVATIVE_ERROR = 1e-3
"""Largest relative error of a derivative; a larger one means that there is no derivative."""

MIN_LINEAR_FRACTION = 1e-9
"""Below this fraction of the response to a typical gradient, the linear part counts as zero."""

RELATIVE_ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Relative rounding error assumed for a difference of two updates."""

NO_RESPONSE = "the update does not depend on the gradient"
"""The one reason with which the gain is still a number: a learning rate of zero."""


def usable_gain(
    optimizer: Optimizer, state: Float, typical: Float | float
) -> tuple[Float, list[str]]:
    """D at each state with zero gradient, and why it is not a learning rate there.

    Args:
        optimizer: any optimizer in float64.
        state: (n, n_state).
        typical: a typical gradient, one for all states or (n,).

    Returns: D, (n,), and n reasons; "" where D is usable.
    """
    zero = np.zeros(len(state))
    typical = np.broadcast_to(np.asarray(typical, np.float64), zero.shape)
    D, error = gain(optimizer, state, zero, typical)
    update_at_zero = checked_step(optimizer, state, zero)[1]
    small = SMALL_GRADIENT_FRACTION * typical

    def response(gradient: Float) -> Float:
        return checked_step(optimizer, state, zero + gradient)[1] - update_at_zero

    with np.errstate(all="ignore"):
        rounding = RELATIVE_ROUNDING * np.abs(update_at_zero)
        # On either side of zero: the part of a small response that is not linear.
        nonlinear_part = np.maximum(
            np.abs(response(small) - D * small), np.abs(response(-small) + D * small)
        )
        nonlinear = nonlinear_part > MAX_NONLINEARITY * np.abs(D) * small + rounding
        largest = np.maximum(np.abs(response(typical)), np.abs(response(-typical)))
        vanishing = np.abs(D) * typical <= MIN_LINEAR_FRACTION * largest
        no_response = (D == 0) & ~(largest > 0)
        uncertain = _uncertain(D, error, largest / typical)
    reasons = []
    for i in range(len(state)):
        if not np.isfinite(update_at_zero[i]):
            reasons.append("the update without a gradient is not finite")
        elif not np.isfinite(D[i]) or uncertain[i]:
            reasons.append("the update is not differentiable by the gradient")
        elif no_response[i]:
            reasons.append(NO_RESPONSE)
        elif vanishing[i]:
            reasons.append("the update has no part that is linear in the gradient")
        elif nonlinear[i]:
            reasons.append(
                f"the update is not linear in the gradient even below {small[i]:.1e}, a ten-"
                "thousandth of a typical one"
            )
        else:
            reasons.append("")
    return D, reasons


def usable_slope(optimizer: Optimizer, state: Float, gradient: Float) -> Float:
    """D at each state and its gradient; NaN where the update is not differentiable.

    Args:
        optimizer: any optimizer in float64.
        state: (n, n_state).
        gradient: not zero, (n,).
    """
    D, error = gain(optimizer, state, gradient, np.abs(gradient))
    update = checked_step(optimizer, state, gradient)[1]
    with np.errstate(all="ignore"):
        return np.where(_uncertain(D, error, np.abs(update / gradient)), np.nan, D)


def _uncertain(D: Float, error: Float, secant: Float) -> NDArray[np.bool_]:
    """Whether the error of D is too large relative to D or, if D is small, to a secant's slope."""
    scale = np.maximum(np.abs(D), MAX_DERIVATIVE_ERROR**2 * secant)
    return np.asarray(~(error <= MAX_DERIVATIVE_ERROR * scale))
