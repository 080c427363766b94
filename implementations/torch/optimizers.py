"""The optimizer kinds in PyTorch; `loptbench.optimizers` has the equations.

States are (..., n_components, n_state), gradients (..., n_components); the hyperparameters of the
hand-designed kinds are (...): any axes before the component are other optimizers, side by side.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]
Constants = Mapping[str, float]


class Kind(NamedTuple):
    """An optimizer as two pure functions.

    Attributes:
        initial_state: (parameters, n_components) -> state.
        step: (parameters, constants, state, gradient) -> state, update.
    """

    initial_state: Callable[[Parameters, int], Tensor]
    step: Callable[[Parameters, Constants, Tensor, Tensor], tuple[Tensor, Tensor]]


def _zeros(n_state: int) -> Callable[[Parameters, int], Tensor]:
    def initial_state(parameters: Parameters, n_components: int) -> Tensor:
        alpha = parameters["alpha"]
        return alpha.new_zeros(*alpha.shape, n_components, n_state)

    return initial_state


def _each(p: Parameters, *names: str) -> list[Tensor]:
    """These hyperparameters, (..., 1): one number for all components."""
    return [p[name].unsqueeze(-1) for name in names]


def _root(v: Tensor) -> Tensor:
    # √v, with a derivative of 0 at v = 0. What is put in the place of zero is lost beside epsilon.
    return v.clamp(min=torch.finfo(v.dtype).tiny).sqrt()


def _sgd(p: Parameters, _: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    (alpha,) = _each(p, "alpha")
    return state, -alpha * gradient


def _momentum(
    p: Parameters, _: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    alpha, beta = _each(p, "alpha", "beta")
    h = beta * state[..., 0] + gradient
    return h.unsqueeze(-1), -alpha * h


def _nesterov(
    p: Parameters, _: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    alpha, beta = _each(p, "alpha", "beta")
    h = beta * state[..., 0] + gradient
    return h.unsqueeze(-1), -alpha * (gradient + beta * h)


def _rmsprop(p: Parameters, k: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    alpha, gamma = _each(p, "alpha", "gamma")
    v = gamma * state[..., 0] + (1 - gamma) * gradient**2
    return v.unsqueeze(-1), -alpha * gradient / (_root(v) + k["epsilon"])


def _adam(p: Parameters, k: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    alpha, beta1, beta2 = _each(p, "alpha", "beta1", "beta2")
    m, v, t = state.unbind(dim=-1)
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    t = t + 1
    mean, square = m / (1 - beta1**t), v / (1 - beta2**t)
    update = -alpha * mean / (_root(square) + k["epsilon"])
    return torch.stack([m, v, t], dim=-1), update


def _composed_initial_state(p: Parameters, n_components: int) -> Tensor:
    start, betas = p["start"], p["betas"]
    m = betas.new_zeros(*start.shape, n_components, betas.shape[-1])
    return torch.cat([m, start[..., None, None].expand(*m.shape[:-1], 1)], dim=-1)


def _composed(
    p: Parameters, _: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    alpha, clip, decay = _each(p, "alpha", "clip", "decay")
    m, rho = state[..., :-1], state[..., -1]
    clipped = torch.minimum(torch.maximum(gradient, -clip), clip)
    m = p["betas"].unsqueeze(-2) * m + clipped.unsqueeze(-1)
    new_rho = 1 + decay * (rho - 1)
    return torch.cat([m, new_rho.unsqueeze(-1)], dim=-1), -alpha * rho * m.mean(dim=-1)


def _gru_initial_state(p: Parameters, n_components: int) -> Tensor:
    h0 = p["h0"]
    return h0.unsqueeze(-2).expand(*h0.shape[:-1], n_components, -1)


def _gru(p: Parameters, k: Constants, h: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    s = k["input_scale"] * gradient[:, None]
    z = torch.sigmoid(h @ p["W_z"].T + p["a_z"] * s + p["b_z"])
    r = torch.sigmoid(h @ p["W_r"].T + p["a_r"] * s + p["b_r"])
    c = torch.tanh((r * h) @ p["W_c"].T + p["a_c"] * s + p["b_c"])
    h = z * h + (1 - z) * c
    return h, k["output_scale"] * (h @ p["w"] + p["b"])


KINDS = {
    "sgd": Kind(_zeros(0), _sgd),
    "momentum": Kind(_zeros(1), _momentum),
    "nesterov": Kind(_zeros(1), _nesterov),
    "rmsprop": Kind(_zeros(1), _rmsprop),
    "adam": Kind(_zeros(3), _adam),
    "composed": Kind(_composed_initial_state, _composed),
    "gru": Kind(_gru_initial_state, _gru),
}
