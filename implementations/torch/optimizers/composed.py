"""Aggregated momentum, a hard clip and a learning-rate schedule in one.

ĝ    = min(max(g, −clip), clip)
m_i' = betas_i · m_i + ĝ
Δ    = −alpha · ρ · (1/K) Σ m_i'
ρ'   = 1 + decay · (ρ − 1)
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    drive_by,
    per_component,
)


def initial_state(p: Parameters, n_components: int) -> Tensor:
    """m = 0 and ρ = start, (..., n_components, K + 1)."""
    start, betas = p["start"], p["betas"]
    m = betas.new_zeros(*start.shape, n_components, betas.shape[-1])
    return torch.cat([m, start[..., None, None].expand(*m.shape[:-1], 1)], dim=-1)


def step(p: Parameters, _: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The next state (m_1', …, m_K', ρ') and the update."""
    alpha, clip, decay = per_component(p, "alpha", "clip", "decay")
    m, rho = state[..., :-1], state[..., -1]
    clipped = torch.minimum(torch.maximum(gradient, -clip), clip)
    m = p["betas"].unsqueeze(-2) * m + clipped.unsqueeze(-1)
    new_rho = 1 + decay * (rho - 1)
    return torch.cat([m, new_rho.unsqueeze(-1)], dim=-1), -alpha * rho * m.mean(dim=-1)


drive = drive_by(step)
