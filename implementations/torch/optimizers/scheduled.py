"""A hand-designed optimizer with a learning-rate schedule.

u  = min(t / n_steps, 1)
h' = that of the optimizer,  t' = t + 1
Δ  = s(u) · that of the optimizer

cosine:       s(u) = final + (1 − final) · (1 + cos(π u)) / 2
exponential:  s(u) = final^u
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import (
    Constants,
    Drive,
    Kind,
    Parameters,
    drive_by,
    per_component,
)


def cosine(final: Tensor, u: Tensor) -> Tensor:
    """s(u) = final + (1 − final) · (1 + cos(π u)) / 2."""
    return final + (1 - final) * (1 + torch.cos(math.pi * u)) / 2


def exponential(final: Tensor, u: Tensor) -> Tensor:
    """s(u) = final^u."""
    return final**u


FACTORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": cosine,
    "exponential": exponential,
}


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """A kind with the schedule of this name."""

    schedule: str
    inner: Kind

    def initial_state(self, p: Parameters, n_components: int, /) -> Tensor:
        """The kind's own and t = 0."""
        return torch.nn.functional.pad(self.inner.initial_state(p, n_components), (0, 1))

    def step(
        self, p: Parameters, constants: Constants, state: Tensor, gradient: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """The next state (h', t') and the update."""
        (final,) = per_component(p, "final")
        t, n_steps = state[..., -1], constants["n_steps"]
        new, update = self.inner.step(p, constants, state[..., :-1], gradient)
        u = torch.where(t < n_steps, t / n_steps, 1.0)
        new = torch.cat([new, t.unsqueeze(-1) + 1], dim=-1)
        return new, FACTORS[self.schedule](final, u) * update

    @property
    def drive(self) -> Drive:
        """One step after another."""
        return drive_by(self.step)
