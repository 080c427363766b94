"""The outer step after the meta-gradient: penalty, clipping and Adam.

`loptbench.protocol.MetaTrains.outer_step` has the equations. The memory of an outer state holds the
entries of the state of `torch.optim.Adam` for each parameter, such as `exp_avg/W_z`.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from loptbench.implementations.torch.arrays import to_numpy
from loptbench.protocol import Array, OuterSettings, OuterState


def initial_outer_state(parameters: Mapping[str, Array], dtype: str) -> OuterState:
    """The state before the first outer step."""
    start = {name: np.array(array, dtype) for name, array in parameters.items()}
    memory: dict[str, Array] = {}
    for name, array in start.items():
        memory |= {
            f"step/{name}": np.zeros((), np.float32),  # torch.optim counts steps in float32
            f"exp_avg/{name}": np.zeros_like(array),
            f"exp_avg_sq/{name}": np.zeros_like(array),
        }
    return OuterState(start, memory)


def outer_update(
    parameters: dict[str, Tensor],
    gradient: Mapping[str, Tensor],
    outer: OuterState,
    config: OuterSettings,
) -> OuterState:
    """The outer state after one update; `parameters` are those of `outer`, changed in place."""
    norm = _norm(parameters.values())
    shrinkage = config.penalty / norm if norm > 0 else 0.0
    for name, parameter in parameters.items():
        parameter.grad = gradient[name] + shrinkage * parameter
    _clip(parameters.values(), config)
    adam = _adam(parameters, outer, config)
    adam.step()
    memory = {
        f"{key}/{name}": to_numpy(value)
        for name, parameter in parameters.items()
        for key, value in adam.state[parameter].items()
    }
    return OuterState({name: to_numpy(p) for name, p in parameters.items()}, memory)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """‖·‖₂ over all elements of all tensors."""
    return torch.stack([(tensor**2).sum() for tensor in tensors]).sum().sqrt()


def _clip(parameters: Iterable[Tensor], config: OuterSettings) -> None:
    parameters = list(parameters)
    if config.clipping == "elementwise":
        torch.nn.utils.clip_grad_value_(parameters, config.clip)
        return
    # Not clip_grad_norm_, which adds 1e-6 to the norm before it divides by it.
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = _norm(gradients)
    for gradient in gradients:
        gradient *= config.clip / norm.clamp(min=config.clip)


def _adam(
    parameters: Mapping[str, Tensor], outer: OuterState, config: OuterSettings
) -> torch.optim.Adam:
    """`torch.optim.Adam` with the state that is stored in `outer`."""
    t = float(outer.memory[f"step/{next(iter(parameters))}"])
    adam = torch.optim.Adam(
        parameters.values(),
        lr=config.learning_rate * config.decay ** (t / config.decay_steps),
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )
    for name, parameter in parameters.items():
        adam.state[parameter] = {
            key: torch.tensor(outer.memory[f"{key}/{name}"], device=parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return adam
