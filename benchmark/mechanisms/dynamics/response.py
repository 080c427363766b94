"""How an optimizer answers a small gradient, and whether it answers in proportion at all.

The gain D = ∂U/∂g is a learning rate only if the update is smooth on the scale of the gradients
that the optimizer meets. RMSProp at v = 0 is smooth below |g| = ε alone: its D there is −α/ε, ten
million times what any gradient gets.
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step, gain
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]

SMALL = 1e-4
"""The share of a typical gradient up to which the update must be linear, to within a tenth. RMSProp
and Adam with ε = 1e-8 are not, whatever their γ, and a clip at a hundredth of a typical gradient
is."""

IN_PROPORTION = 0.1
NOT_SMOOTH = 1e-3
VANISHING = 1e-9

NO_ANSWER = "the update does not depend on the gradient"
"""The reason why there is no gain that is a number all the same: a learning rate of zero."""


def usable_gain(
    optimizer: Optimizer, state: Float, typical: Float | float
) -> tuple[Float, list[str]]:
    """D at each state without a gradient, and why it is of no use there; "" where it is.

    Args:
        optimizer: any optimizer in float64.
        state: (n, n_state).
        typical: a typical gradient, one for all states or (n,).
    """
    zero = np.zeros(len(state))
    typical = np.broadcast_to(np.asarray(typical, np.float64), zero.shape)
    D, error = gain(optimizer, state, zero, typical)
    at_rest = checked_step(optimizer, state, zero)[1]
    small = SMALL * typical
    with np.errstate(all="ignore"):
        answers = [
            checked_step(optimizer, state, zero + sign * size)[1] - at_rest
            for size in (small, typical)
            for sign in (1.0, -1.0)
        ]
        rounding = 8 * np.finfo(np.float64).eps * np.abs(at_rest)
        # In either arm: the answer to a small gradient, less what is linear, beside that.
        bent = np.maximum(np.abs(answers[0] - D * small), np.abs(answers[1] + D * small))
        off = bent > IN_PROPORTION * np.abs(D) * small + rounding
        largest = np.maximum(np.abs(answers[2]), np.abs(answers[3]))
        vanishes = np.abs(D) * typical <= VANISHING * largest
        none = (D == 0) & ~(largest > 0)
        uncertain = _uncertain(D, error, largest / typical)
    said = []
    for i in range(len(state)):
        if not np.isfinite(at_rest[i]):
            said.append("the update without a gradient is not finite")
        elif not np.isfinite(D[i]) or uncertain[i]:
            said.append("the update is not differentiable by the gradient")
        elif none[i]:
            said.append(NO_ANSWER)
        elif vanishes[i]:
            said.append("the update has no part that is linear in the gradient")
        elif off[i]:
            said.append(
                f"the update is not linear in the gradient even below {small[i]:.1e}, a ten-"
                "thousandth of a typical one"
            )
        else:
            said.append("")
    return D, said


def usable_slope(optimizer: Optimizer, state: Float, gradient: Float) -> Float:
    """D at each state and its gradient; NaN where the update is not differentiable there.

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
    """Whether the error of a slope is too large beside it, or, of a flat one, beside a secant."""
    return np.asarray(~(error <= NOT_SMOOTH * np.maximum(np.abs(D), NOT_SMOOTH**2 * secant)))
