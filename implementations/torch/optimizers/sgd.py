"""Gradient descent.

Δ = −alpha · g
"""

from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    drive_by,
    per_component,
    zero_state,
)

initial_state = zero_state(0)


def step(p: Parameters, _: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The (empty) next state and the update."""
    (alpha,) = per_component(p, "alpha")
    return state, -alpha * gradient


drive = drive_by(step)
