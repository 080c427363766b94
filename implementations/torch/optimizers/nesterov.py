"""Nesterov momentum.

h' = beta · h + g
Δ  = −alpha · (g + beta · h')
"""

from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    drive_by,
    per_component,
    zero_state,
)

initial_state = zero_state(1)


def step(p: Parameters, _: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The next state and the update."""
    alpha, beta = per_component(p, "alpha", "beta")
    h = beta * state[..., 0] + gradient
    return h.unsqueeze(-1), -alpha * (gradient + beta * h)


drive = drive_by(step)
