"""Adam.

m' = beta1 · m + (1 − beta1) · g
v' = beta2 · v + (1 − beta2) · g²
t' = t + 1
Δ  = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    drive_by,
    per_component,
    safe_sqrt,
    zero_state,
)

initial_state = zero_state(3)


def step(
    p: Parameters, constants: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The next state (m', v', t') and the update."""
    alpha, beta1, beta2 = per_component(p, "alpha", "beta1", "beta2")
    m, v, t = state.unbind(dim=-1)
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    t = t + 1
    mean, square = m / (1 - beta1**t), v / (1 - beta2**t)
    update = -alpha * mean / (safe_sqrt(square) + constants["epsilon"])
    return torch.stack([m, v, t], dim=-1), update


drive = drive_by(step)
