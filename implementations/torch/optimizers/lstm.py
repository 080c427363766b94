"""The learned optimizer as an LSTM.

s  = input_scale · g
i, f, o = sigmoid(W_k h + a_k s + b_k), k = i, f, o
u  = tanh(W_u h + a_u s + b_u)
c' = f ∘ c + i ∘ u
h' = o ∘ tanh(c')
Δ  = output_scale · (w · h' + b)

The state is (h, c). The four gates are one product. Autograd differentiates the step.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Parameters,
    Step,
    drive_by,
    starting_at,
)

GateInputs = Callable[[Parameters, Constants, Tensor], Tensor]
"""From the parameters, the constants and the gradient: a s of all gates,
(..., n_components, 4 · n_units)."""

initial_state = starting_at("h0", "c0")


def scaled(p: Parameters, constants: Constants, gradient: Tensor) -> Tensor:
    """A s, with s = input_scale · g."""
    a = torch.cat([p[f"a_{gate}"] for gate in "ifou"], dim=-1)
    return constants["input_scale"] * gradient.unsqueeze(-1) * a.unsqueeze(-2)


def step_with(gate_inputs: GateInputs) -> Step:
    """The step of an LSTM whose gates see the gradient in this way."""

    def step(
        p: Parameters, constants: Constants, state: Tensor, gradient: Tensor
    ) -> tuple[Tensor, Tensor]:
        h, c = state.chunk(2, dim=-1)
        n_units = h.shape[-1]
        W = torch.cat([p[f"W_{gate}"] for gate in "ifou"], dim=-2)
        b = torch.cat([p[f"b_{gate}"] for gate in "ifou"], dim=-1).unsqueeze(-2)
        pre = h @ W.mT + gate_inputs(p, constants, gradient) + b
        i, f, o = torch.sigmoid(pre[..., : 3 * n_units]).chunk(3, dim=-1)
        c = f * c + i * torch.tanh(pre[..., 3 * n_units :])
        h = o * torch.tanh(c)
        readout = (h @ p["w"].unsqueeze(-1)).squeeze(-1) + p["b"].unsqueeze(-1)
        return torch.cat([h, c], dim=-1), constants["output_scale"] * readout

    return step


step = step_with(scaled)
drive = drive_by(step)
