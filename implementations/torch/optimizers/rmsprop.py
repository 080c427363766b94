"""RMSProp.

v' = gamma · v + (1 − gamma) · g²
Δ  = −alpha · g / (√v' + epsilon)
"""

from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    drive_by,
    per_component,
    safe_sqrt,
    zero_state,
)

initial_state = zero_state(1)


def step(
    p: Parameters, constants: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The next state and the update."""
    alpha, gamma = per_component(p, "alpha", "gamma")
    v = gamma * state[..., 0] + (1 - gamma) * gradient**2
    return v.unsqueeze(-1), -alpha * gradient / (safe_sqrt(v) + constants["epsilon"])


drive = drive_by(step)
