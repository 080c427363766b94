"""The response to a gradient at the states of real runs.

    u(g) = U(h, g) − U(h, 0)    what a gradient g contributes to the update
    D(h, 0)                     its slope at g = 0; −D(h, 0) is the learning rate there

Both are needed at every step and component of real runs. So D is the optimizer's own `gain`, or
comes from four steps: central differences at two distances, extrapolated (Richardson).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.dynamics.response import MAX_NONLINEARITY
from loptbench.protocol import Gains, Optimizer, Trajectory

Float = NDArray[np.float64]

DISTANCE = 1e-3
"""Gradients of the differences, relative to a typical one."""

BLOCK_ELEMENTS = 2**17
"""State variables that are measured at a time: 1 MB, which stays in the cache."""


class StatesMet(NamedTuple):
    """The response at the states of real runs.

    Attributes:
        gain: D(h, 0), (n_steps, n_problems, n_parameters); NaN where the update is not linear in
            small gradients.
        gradient: g, the gradients that were met, of the same shape.
        contribution: u(g), of the same shape.
        n_unusable: the number of NaN in `gain`.
    """

    gain: Float
    gradient: Float
    contribution: Float
    n_unusable: int

    @property
    def missing(self) -> str:
        """What is missing, in words; empty if nothing is."""
        if not self.n_unusable:
            return ""
        return (
            f"at {self.n_unusable:,} of {self.gain.size:,} states of real runs the update is not "
            "linear in small gradients"
        )

    @property
    def coverage(self) -> float:
        """The share of the states at which there is a gain."""
        return 1 - self.n_unusable / max(1, self.gain.size)

    def then(self, later: "StatesMet") -> "StatesMet":
        """The steps of the first problems, followed by later steps of these."""
        n_problems = later.gain.shape[1]
        gain, gradient, contribution = (
            np.concatenate([getattr(self, name)[:, :n_problems], getattr(later, name)])
            for name in ("gain", "gradient", "contribution")
        )
        return StatesMet(gain, gradient, contribution, int(np.sum(~np.isfinite(gain))))


def measure_states_met(optimizer: Optimizer, run: Trajectory, typical: float) -> StatesMet:
    """The response at each state of real runs.

    Args:
        optimizer: any optimizer in float64.
        run: the runs.
        typical: a typical gradient.
    """
    shape = run.gradient.shape
    states = run.state[:-1].reshape(run.gradient.size, run.state.shape[2])
    gradients, updates = run.gradient.reshape(-1), run.update.reshape(-1)
    gain, contribution = np.empty(len(states)), np.empty(len(states))
    block_size = max(1, BLOCK_ELEMENTS // max(1, states.shape[1]))
    for first in range(0, len(states), block_size):
        block = slice(first, first + block_size)
        state = states[block].copy()  # an optimizer may write into its arguments
        at_zero = checked_step(optimizer, state, np.zeros(len(state)))[1]
        contribution[block] = updates[block] - at_zero
        gain[block] = _gain(optimizer, state, gradients[block], at_zero, typical)
    contribution[gradients == 0] = 0.0
    return StatesMet(
        gain.reshape(shape),
        run.gradient,
        contribution.reshape(shape),
        int(np.sum(~np.isfinite(gain))),
    )


def _gain(
    optimizer: Optimizer, state: Float, gradient: Float, at_zero: Float, typical: float
) -> Float:
    """D(h, 0); NaN where the response to a small gradient is not D times it."""

    def response(g: Float) -> Float:
        return checked_step(optimizer, state, g)[1] - at_zero

    small = DISTANCE * typical
    side = np.where(gradient < 0, -small, small)
    with np.errstate(all="ignore"):
        if isinstance(optimizer, Gains):
            D = np.asarray(optimizer.gain(state, np.zeros(len(state))), np.float64)
            nonlinear = np.abs(response(side) - D * side)
        else:
            near, far = (
                [response(factor * sign * side) / (factor * side) for sign in (1, -1)]
                for factor in (0.5, 1.0)
            )
            central = [(right - left) / 2 for right, left in (near, far)]
            D = (4 * central[0] - central[1]) / 3
            sides = np.stack([near[0], -near[1], far[0], -far[1]])
            nonlinear = np.abs(sides - D).max(axis=0) * small
        rounding = 1e-12 * np.abs(at_zero)
        return np.where(nonlinear <= MAX_NONLINEARITY * np.abs(D) * small + rounding, D, np.nan)
