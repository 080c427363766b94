"""The optimizer kinds in PyTorch; `loptbench.optimizers` has the equations."""

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
        return parameters["alpha"].new_zeros(n_components, n_state)

    return initial_state


def _sgd(p: Parameters, _: Constants, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return state, -p["alpha"] * gradient


def _momentum(
    p: Parameters, _: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    state = p["beta"] * state + gradient[:, None]
    return state, -p["alpha"] * state[:, 0]


def _gru_initial_state(p: Parameters, n_components: int) -> Tensor:
    return p["h0"].expand(n_components, -1)


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
    "gru": Kind(_gru_initial_state, _gru),
}
