"""Elman's network in PyTorch; see `elman`. Leading axes are independent optimizers."""

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import Constants, Parameters


def step(
    p: Parameters, constants: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The next state and the update."""
    s = constants["input_scale"] * gradient.unsqueeze(-1)
    h = torch.tanh(state @ p["W_e"].mT + s * p["a_e"].unsqueeze(-2) + p["b_e"].unsqueeze(-2))
    readout = (h @ p["w"].unsqueeze(-1)).squeeze(-1) + p["b"].unsqueeze(-1)
    return h, constants["output_scale"] * readout
