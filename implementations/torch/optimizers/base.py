"""Types and helpers of the optimizer kinds in PyTorch.

States are (..., n_components, n_state) and gradients (..., n_components). The hyperparameters of
the hand-designed kinds are (...). Leading axes, if there are any, are independent optimizers.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]
Constants = Mapping[str, float]


class Kind(Protocol):
    """An optimizer kind as two pure functions; each module of this folder is one."""

    def initial_state(self, p: Parameters, n_components: int, /) -> Tensor:
        """h_0, (..., n_components, n_state)."""
        ...

    def step(
        self, p: Parameters, constants: Constants, state: Tensor, gradient: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """h_{k+1} and Δ_k, from h_k and g_k."""
        ...

    @property
    def drive(self) -> "Drive":
        """The states at chosen times of a run whose gradients are given."""
        ...


Step = Callable[[Parameters, Constants, Tensor, Tensor], tuple[Tensor, Tensor]]
"""`Kind.step`."""

Drive = Callable[[Parameters, Constants, Tensor, Tensor, Sequence[int]], Tensor]
"""`Kind.drive`: from the parameters and constants, the state h[0], (n_components, n_state), the
gradient of each step, (n_steps, n_components), and times, the states at those times,
(len(times), n_components, n_state)."""


def drive_by(step: Step) -> Drive:
    """The `drive` of a kind that takes one step after another."""

    def drive(
        p: Parameters, constants: Constants, state: Tensor, gradients: Tensor, times: Sequence[int]
    ) -> Tensor:
        states = []
        for last, time in pairwise([0, *times]):
            for gradient in gradients[last:time].unbind():
                state, _ = step(p, constants, state, gradient)
            states.append(state)
        return torch.stack(states)

    return drive


def starting_at(*names: str) -> Callable[[Parameters, int], Tensor]:
    """The `initial_state` of a kind whose state starts at these parameters, joined."""

    def initial_state(p: Parameters, n_components: int) -> Tensor:
        start = torch.cat([p[name] for name in names], dim=-1).unsqueeze(-2)
        return start.expand(*start.shape[:-2], n_components, -1)

    return initial_state


@dataclasses.dataclass(frozen=True)
class RecurrentKind:
    """The kind of an architecture from outside, from its step."""

    starts: tuple[str, ...]
    step: Step

    def initial_state(self, p: Parameters, n_components: int, /) -> Tensor:
        return starting_at(*self.starts)(p, n_components)

    @property
    def drive(self) -> Drive:
        return drive_by(self.step)


def zero_state(n_state: int) -> Callable[[Parameters, int], Tensor]:
    """The `initial_state` of a kind whose state starts at zero."""

    def initial_state(p: Parameters, n_components: int) -> Tensor:
        alpha = p["alpha"]
        return alpha.new_zeros(*alpha.shape, n_components, n_state)

    return initial_state


def per_component(p: Parameters, *names: str) -> list[Tensor]:
    """Hyperparameters by name, (..., 1), so that they broadcast over components."""
    return [p[name].unsqueeze(-1) for name in names]


def safe_sqrt(v: Tensor) -> Tensor:
    """√v, with a derivative of 0 at v = 0.

    √tiny stands in for √0. It is lost beside the epsilon that the optimizers add.
    """
    return v.clamp(min=torch.finfo(v.dtype).tiny).sqrt()
