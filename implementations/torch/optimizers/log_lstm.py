"""The LSTM that is handed the logarithm and the sign of the gradient; see `lstm`.

s = (log(|x|) / p, sign(x)) if |x| ≥ e^(−p), else (−1, e^p x);  x = input_scale · g, p = log_range
"""

import math

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import Constants, Parameters, drive_by
from loptbench.implementations.torch.optimizers.lstm import initial_state, step_with


def log_and_sign(p: Parameters, constants: Constants, gradient: Tensor) -> Tensor:
    """A s; both cases of s are log(max(|x|, e^(−p))) / p and e^p x, clipped to ±1."""
    x, log_range = constants["input_scale"] * gradient, constants["log_range"]
    size = x.abs().clamp(min=math.exp(-log_range)).log() / log_range
    sign = (math.exp(log_range) * x).clamp(-1, 1)
    a = torch.cat([p[f"a_{gate}"] for gate in "ifou"], dim=-2)
    return torch.stack([size, sign], dim=-1) @ a.mT


step = step_with(log_and_sign)
drive = drive_by(step)

__all__ = ["drive", "initial_state", "step"]
